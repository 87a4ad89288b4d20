import PoolCore

/// The server's own view: which sockets exist. P1 is checked against this count, not against the pool's.
struct SimulatedServer: Sendable {
    enum Weather: Hashable, Sendable {
        case fine, refusing, silent, rejectingPassword
    }

    struct Backend: Sendable {
        let id: ConnectionID
        var isUp = false
        /// The peer is gone, whether or not the client has noticed.
        var isDead = false
    }

    var weather = Weather.fine
    var maxConnections: Int
    private(set) var backends: [Backend] = []
    private(set) var mostAtOnce = 0

    init(maxConnections: Int) {
        self.maxConnections = maxConnections
    }

    var established: Int { backends.count { $0.isUp && !$0.isDead } }

    subscript(id: ConnectionID) -> Backend? { backends.first { $0.id == id } }

    mutating func dial(_ id: ConnectionID) {
        backends.append(Backend(id: id))
        mostAtOnce = max(mostAtOnce, backends.count)
    }

    /// Whether the connect succeeds in the present weather; nil: the server does not answer at all.
    mutating func answer(_ id: ConnectionID) -> Result<Void, Refusal> {
        guard let place = backends.firstIndex(where: { $0.id == id }) else { return .failure(Refusal(.transient)) }
        let refusal: Refusal?
        switch weather {
        case .fine: refusal = established >= maxConnections ? Refusal(.transient) : nil
        case .refusing, .silent: refusal = Refusal(.transient)
        case .rejectingPassword: refusal = Refusal(.permanent)
        }
        guard let refusal else {
            backends[place].isUp = true
            return .success(())
        }
        return .failure(refusal)
    }

    struct Refusal: Error {
        let failure: ConnectFailureClass
        init(_ failure: ConnectFailureClass) { self.failure = failure }
    }

    mutating func hangUp(_ id: ConnectionID) { backends.removeAll { $0.id == id } }

    mutating func kill(_ id: ConnectionID) {
        for place in backends.indices where backends[place].id == id { backends[place].isDead = true }
    }

    func isAlive(_ id: ConnectionID) -> Bool { self[id].map { $0.isUp && !$0.isDead } ?? false }
}

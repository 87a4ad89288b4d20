import Foundation
import Synchronization

/// A small PostgreSQL server without a database: it speaks the protocol, keeps the transaction's status, answers
/// `SELECT 42` with 42, and departs from all that where its script says so.
///
/// One thread serves every connection, so that a connection that is held holds up nobody else.
final class ScriptedServer: Sendable {
    struct State {
        var rules: [Rule] = []
        var orders: [Order] = []
        var onReach: (@Sendable (Stage) -> Void)?
        var reached: [(stage: Stage, processID: Int32)] = []
        var attempts: [ContinuousClock.Instant] = []
        var logins = 0
        var open = 0
        var cancelHits: [String] = []
        var givesKeyData = true
        var closesCancelConnections = true
        var password: String?
        /// nil once stopped: the descriptor may be somebody else's by then.
        var wakeEnd: Int32?
    }

    /// What the test tells the server's thread.
    enum Order: Sendable {
        case release
        case send([UInt8], thenClose: Bool)
        case stop
    }

    let state = Mutex(State())
    let port: UInt16

    init() throws {
        let sockets = try LoopbackSockets()
        port = sockets.port
        state.withLock { $0.wakeEnd = sockets.wakeEnd }
        let thread = Thread { [self] in ServerLoop(self, sockets).run() }
        thread.name = "scripted-server"
        thread.start()
    }

    /// Everybody is who they say they are, and nothing is encrypted.
    var url: String { "postgresql://app:secret@127.0.0.1:\(port)/shop?sslmode=disable&gssencmode=disable" }

    // MARK: The script

    func on(_ stage: Stage, _ reaction: Reaction, times: Int = .max) {
        state.withLock { $0.rules.append(Rule(stage: stage, reaction: reaction, times: times)) }
    }

    /// From now on all is well; who is held is let go.
    func recover() {
        state.withLock { state in
            state.rules = []
            state.onReach = nil
        }
        release()
    }

    /// Lets everybody go who is held now; who is slow stays slow. The rules stay.
    func release() { order(.release) }

    /// Says this on every connection, unasked.
    func say(_ bytes: [UInt8], thenClose: Bool = false) { order(.send(bytes, thenClose: thenClose)) }

    func stop() { order(.stop) }

    func onReach(_ body: @escaping @Sendable (Stage) -> Void) { state.withLock { $0.onReach = body } }
    func omitKeyData() { state.withLock { $0.givesKeyData = false } }
    func keepCancelConnectionsOpen() { state.withLock { $0.closesCancelConnections = false } }
    func require(password: String) { state.withLock { $0.password = password } }

    // MARK: What it has seen

    /// Connections that stand, as the server counts them; requests to cancel are none.
    var open: Int { state.withLock { $0.open } }
    /// When each startup packet came.
    var attempts: [ContinuousClock.Instant] { state.withLock { $0.attempts } }
    var logins: Int { state.withLock { $0.logins } }
    var statements: [String] {
        state.withLock { state in
            state.reached.compactMap { if case .statement(let text) = $0.stage { text } else { nil } }
        }
    }
    /// Statements that a cancel request has ended.
    var cancelHits: [String] { state.withLock { $0.cancelHits } }

    func count(_ stage: Stage) -> Int { state.withLock { $0.reached.count { stage.means($0.stage) } } }
    func hasReached(_ stage: Stage) -> Bool { count(stage) > 0 }
    func forgetTheStory() { state.withLock { $0.reached = [] } }

    // MARK: For its thread

    /// What is to be done now that this stage is reached.
    func reaction(at moment: Stage, on processID: Int32) -> Reaction {
        let (reaction, tell) = state.withLock { state -> (Reaction, (@Sendable (Stage) -> Void)?) in
            state.reached.append((moment, processID))
            guard let index = state.rules.firstIndex(where: { $0.stage.means(moment) && $0.times > 0 }) else {
                return (.ok, state.onReach)
            }
            state.rules[index].times -= 1
            return (state.rules[index].reaction, state.onReach)
        }
        tell?(moment)
        return reaction
    }

    func takeOrders() -> [Order] {
        state.withLock { state in
            defer { state.orders = [] }
            return state.orders
        }
    }

    private func order(_ order: Order) {
        state.withLock { state in
            guard let wakeEnd = state.wakeEnd else { return }
            state.orders.append(order)
            LoopbackSockets.wake(wakeEnd)
        }
    }
}

/// A server for the length of a test.
func withServer<R>(_ body: (ScriptedServer) async throws -> R) async throws -> R {
    let server = try ScriptedServer()
    defer { server.stop() }
    return try await body(server)
}

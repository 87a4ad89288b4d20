internal import CLibPQ
internal import Synchronization

/// The making of one physical connection: hosts and their addresses in order, each with its own deadline.
///
/// The work blocks, so it has a helper thread. The caller hears within the deadline even where name resolution, which nothing
/// can interrupt, does not return; what comes late is closed.
package final class ConnectRequest: Sendable {
    private struct State {
        var waiter: CheckedContinuation<Result<WireConnection, WireConnectFailure>, Never>?
        var outcome: Result<WireConnection, WireConnectFailure>?
        var isOver = false
        var isAbandoned = false
        var onAbandon: (@Sendable () -> Void)?
        var target = ""
        var stageDeadline = Monotonic(nanoseconds: .max)
        var parameters: ConnectionParameters
    }

    private let state: Mutex<State>
    private let timeout: Duration
    private let begun = Monotonic.now
    private let onNotice: @Sendable (WireServerError) -> Void
    private let onEnd: @Sendable () -> Void

    /// - Parameters:
    ///   - timeout: for each address; `connect_timeout` in the connection string outranks it.
    ///   - onNotice: called for each NOTICE or WARNING, on the borrower's thread.
    ///   - onEnd: called on a loop's thread when the connection's socket ends while it is parked.
    package init(
        _ parameters: ConnectionParameters, timeout: Duration,
        onNotice: @escaping @Sendable (WireServerError) -> Void, onEnd: @escaping @Sendable () -> Void
    ) {
        state = Mutex(State(parameters: parameters))
        let own = parameters.resolved("connect_timeout").flatMap(Int64.init) ?? 0
        self.timeout = own > 0 ? .seconds(own) : timeout
        self.onNotice = onNotice
        self.onEnd = onEnd
    }

    /// Outranks the user and password of the connection string. Before `run`.
    package func use(user: String, password: String?) {
        state.withLock { state in
            state.parameters["user"] = user
            state.parameters["password"] = password
        }
    }

    package func run() async throws(WireConnectFailure) -> WireConnection {
        beginStage("")
        HelperThreads.connecting.run(
            { [self] in finish(Result { () throws(WireConnectFailure) in try connect() }) },
            orRefuse: { [self] error in
                let message = "the system has no thread to connect on: errno \(error)"
                finish(.failure(WireConnectFailure(reason: .lost, target: "", message: message)))
            })
        watchStage()
        let outcome = await withCheckedContinuation { continuation in
            let ready = state.withLock { state in
                if state.outcome == nil { state.waiter = continuation }
                return state.outcome
            }
            if let ready { continuation.resume(returning: ready) }
        }
        return try outcome.get()
    }

    /// For a request that is not over: whom it waits for, if that is known, and for how long it has been under way.
    package var progress: (target: String, age: Duration) { (state.withLock { $0.target }, begun.duration(to: .now)) }

    /// Whether its end, whatever it was, is of no interest to anybody.
    package var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    /// Ends the wait with `.cancelled`; a connection that comes late is closed.
    package func abandon() {
        let onAbandon = state.withLock { state in
            state.isAbandoned = true
            return state.onAbandon.take()
        }
        onAbandon?()
        finish(.failure(WireConnectFailure(reason: .cancelled, target: "", message: "the connect was abandoned")))
    }

    /// For what else is done before the connection is anybody's: called when the request is abandoned, at once if it was.
    package func whenAbandoned(_ action: (@Sendable () -> Void)?) {
        let isAbandoned = state.withLock { state in
            state.onAbandon = state.isAbandoned ? nil : action
            return state.isAbandoned
        }
        if isAbandoned { action?() }
    }

    private func finish(_ outcome: Result<WireConnection, WireConnectFailure>) {
        let (isLate, waiter) = state.withLock { state in
            if state.isOver {
                return (true, nil as CheckedContinuation<Result<WireConnection, WireConnectFailure>, Never>?)
            }
            state.isOver = true
            state.outcome = outcome
            defer { state.waiter = nil }
            return (false, state.waiter)
        }
        waiter?.resume(returning: outcome)
        if isLate, case .success(let connection) = outcome { connection.closeNow() }
    }

    private var isOver: Bool { state.withLock { $0.isOver } }

    // MARK: The clock of each stage

    private func beginStage(_ target: String) {
        let deadline = Monotonic.now.advanced(by: timeout)
        state.withLock { ($0.target, $0.stageDeadline) = (target, deadline) }
    }

    /// One timer that follows the stages. It fires a little late, so that the stage itself may say what it waited for.
    private func watchStage() {
        let (deadline, target) = state.withLock { ($0.stageDeadline, $0.target) }
        let grace = deadline.advanced(by: .milliseconds(150))
        guard grace > .now else {
            let message = "no answer in time while resolving the name or connecting"
            return finish(.failure(WireConnectFailure(reason: .timedOut, target: target, message: message)))
        }
        _ = EventLoops.shared.schedule(at: grace) { [weak self] in
            guard let self, !self.isOver else { return }
            self.watchStage()
        }
    }

    // MARK: On the helper thread

    private func connect() throws(WireConnectFailure) -> WireConnection {
        let parameters = state.withLock { $0.parameters }
        guard parameters.resolved("target_session_attrs") == "prefer-standby", !parameters.hosts.isEmpty else {
            return try connect(parameters)
        }
        var standby = parameters
        standby["target_session_attrs"] = "standby"
        if let connection = try? connect(standby) { return connection }
        standby["target_session_attrs"] = "any"
        return try connect(standby)
    }

    private func connect(_ parameters: ConnectionParameters) throws(WireConnectFailure) -> WireConnection {
        let hosts = parameters.hosts
        if hosts.isEmpty { return try attempt(parameters.undividedCandidate) }
        var failures: [WireConnectFailure] = []
        for host in hosts {
            do throws(WireConnectFailure) {
                beginStage(host.target)
                for candidate in try parameters.candidates(for: host) {
                    do throws(WireConnectFailure) {
                        return try attempt(candidate)
                    } catch {
                        // The server has spoken: another address would say the same.
                        if error.reason == .authentication || isOver { throw error }
                        failures.append(error)
                    }
                }
            } catch {
                if error.reason == .authentication || isOver { throw error }
                failures.append(error)
            }
        }
        throw Self.combined(failures)
    }

    private func attempt(_ candidate: ConnectCandidate) throws(WireConnectFailure) -> WireConnection {
        beginStage(candidate.target)
        let deadline = Monotonic.now.advanced(by: timeout)
        let conn = try ConnectAttempt(candidate).run(until: deadline) { isOver }
        return try WireConnection(adopting: conn, target: candidate.target, onNotice: onNotice, onEnd: onEnd)
    }

    private static func combined(_ failures: [WireConnectFailure]) -> WireConnectFailure {
        guard var first = failures.first else {
            return WireConnectFailure(reason: .configuration, target: "", message: "no host to connect to")
        }
        guard failures.count > 1 else { return first }
        first.message = failures.map { "\($0.target): \($0.message)" }.joined(separator: "; ")
        first.target = failures.map(\.target).joined(separator: ", ")
        return first
    }
}

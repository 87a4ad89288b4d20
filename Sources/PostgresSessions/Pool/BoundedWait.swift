internal import PostgresWire
internal import Synchronization

/// A wait for the user's own code, as part of a connect. When its time is up, or the connect is abandoned, the code's task is
/// cancelled; where it does not end even then, nobody waits for it any more, and what it still brings is for `late`.
final class BoundedWait<Value: Sendable>: Sendable {
    private struct State {
        var waiting: CheckedContinuation<Value, any Error>?
        var outcome: Result<Value, any Error>?
        /// Why it was cancelled.
        var givenUp: ConnectFailure?
    }

    private let state = Mutex(State())

    static func run(
        _ what: String, within timeout: Duration, of request: ConnectRequest,
        onLeaving: @escaping @Sendable () -> Void = {}, late: @escaping @Sendable (Value) -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let wait = BoundedWait()
        let work = Task.detached(executorPreference: EventLoops.shared) {
            let outcome: Result<Value, any Error>
            do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
            if !wait.end(outcome), case .success(let value) = outcome { late(value) }
        }
        let giveUp = { @Sendable (failure: ConnectFailure) in
            guard wait.giveUp(failure) else { return }
            work.cancel()
            _ = EventLoops.shared.schedule(at: Monotonic.now.advanced(by: WireConnection.cancelTimeout)) {
                if wait.leave() { onLeaving() }
            }
        }
        let timer = EventLoops.shared.schedule(at: Monotonic.now.advanced(by: timeout)) {
            giveUp(ConnectFailure(message: "\(what) did not end within \(timeout)", timedOut: true))
        }
        request.whenAbandoned { giveUp(ConnectFailure(message: "the connect was abandoned")) }
        defer {
            EventLoops.shared.cancel(timer)
            request.whenAbandoned(nil)
        }
        return try await withCheckedThrowingContinuation { wait.enter($0) }
    }

    private func enter(_ continuation: CheckedContinuation<Value, any Error>) {
        let outcome = state.withLock { state in
            if state.outcome == nil { state.waiting = continuation }
            return state.outcome
        }
        if let outcome { continuation.resume(with: outcome) }
    }

    /// False: it has ended, or was given up before.
    private func giveUp(_ failure: ConnectFailure) -> Bool {
        state.withLock { state in
            guard state.outcome == nil, state.givenUp == nil else { return false }
            state.givenUp = failure
            return true
        }
    }

    /// The code's own end. False: its outcome is not wanted any more.
    private func end(_ outcome: Result<Value, any Error>) -> Bool {
        settle { state in state.givenUp.map { .failure($0) } ?? outcome } && state.withLock { $0.givenUp == nil }
    }

    /// True: the code, which was given up, still runs.
    private func leave() -> Bool {
        settle { state in state.givenUp.map { .failure($0) } ?? .failure(CancellationError()) }
    }

    /// False: it was settled before.
    private func settle(_ outcome: (State) -> Result<Value, any Error>) -> Bool {
        let settled = state.withLock { state -> (CheckedContinuation<Value, any Error>?, Result<Value, any Error>)? in
            guard state.outcome == nil else { return nil }
            let final = outcome(state)
            state.outcome = final
            return (state.waiting.take(), final)
        }
        guard let (waiting, final) = settled else { return false }
        waiting?.resume(with: final)
        return true
    }
}

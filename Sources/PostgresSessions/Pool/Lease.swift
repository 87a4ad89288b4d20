internal import PoolCore
internal import Synchronization
internal import PostgresWire

/// A borrowed connection, and the right to use it until it is given back, exactly once.
struct Lease: Sendable {
    let id: LeaseID
    let connection: PhysicalConnection
    /// When it went idle; nil for one that was just made, checked, or handed over directly.
    let idleSince: PoolInstant?

    var wire: WireConnection { connection.wire }
}

/// One task that waits for a connection, and what it will be told, exactly once.
final class PoolWaiter: Sendable {
    private struct State {
        var outcome: Result<Lease, PoolFailure>?
        var continuation: CheckedContinuation<Result<Lease, PoolFailure>, Never>?
    }

    private let state = Mutex(State())

    func finish(_ outcome: Result<Lease, PoolFailure>) {
        let continuation = state.withLock { state in
            state.outcome = outcome
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume(returning: outcome)
    }

    func wait() async -> Result<Lease, PoolFailure> {
        await withCheckedContinuation { continuation in
            let outcome = state.withLock { state in
                if state.outcome == nil { state.continuation = continuation }
                return state.outcome
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }
}

/// Why a checkout failed: the pool's own reason, with the numbers of that moment.
struct PoolFailure: Error {
    let refusal: PoolRefusal
    let statistics: Engine.Statistics
    let lastConnectFailure: ConnectFailure?

    var error: any Error {
        switch refusal {
        case .timedOut(let circumstances):
            EngineError.checkoutTimedOut(statistics.with(waiterHoldsConnection: circumstances.ownerHoldsLease))
        case .cancelled: CancellationError()
        case .tooManyWaiters: EngineError.tooManyWaiters(statistics)
        case .shutDown: EngineError.shutDown
        case .connectFailed:
            EngineError.connectFailed(lastConnectFailure ?? ConnectFailure(message: "the server refuses connections"))
        }
    }
}

extension Engine.Statistics {
    fileprivate func with(waiterHoldsConnection: Bool) -> Engine.Statistics {
        var statistics = self
        statistics.waiterHoldsConnection = waiterHoldsConnection
        return statistics
    }
}

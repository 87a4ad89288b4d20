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
    let id: WaiterID

    init(id: WaiterID) { self.id = id }

    private struct State {
        var outcome: Result<Lease, PoolFailure>?
        var continuation: UnsafeContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func finish(_ outcome: Result<Lease, PoolFailure>) {
        let continuation = state.withLock { state in
            state.outcome = outcome
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume()
    }

    /// Suspends until there is an outcome.
    @inline(__always)
    func wait() async {
        await withUnsafeContinuation { continuation in
            let mustWait = state.withLock { state in
                guard state.outcome == nil else { return false }
                state.continuation = continuation
                return true
            }
            if !mustWait { continuation.resume() }
        }
    }

    /// What the wait came to. After `wait`.
    func outcome() throws -> Lease {
        guard let outcome = state.withLock({ $0.outcome }) else { throw CancellationError() }
        switch outcome {
        case .success(let lease): return lease
        case .failure(let failure): throw failure.error
        }
    }
}

/// Why a checkout failed: the pool's own reason, with the numbers of that moment.
final class PoolFailure: Error {
    private let refusal: PoolRefusal
    private let statistics: Engine.Statistics
    private let lastConnectFailure: ConnectFailure?

    init(_ refusal: PoolRefusal, _ statistics: Engine.Statistics, _ lastConnectFailure: ConnectFailure?) {
        (self.refusal, self.statistics, self.lastConnectFailure) = (refusal, statistics, lastConnectFailure)
    }

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

/// The tasks that wait, by the low bits of their ids: no hashing, and no memory beyond the most that ever waited.
struct WaiterTable {
    private var slots: [PoolWaiter?] = []
    private var free: [Int] = []
    private var serial: UInt64 = 0
    private static let indexBits: UInt64 = 28

    /// An id that is never used again. It is given back with `release`, or gets its waiter with `add`.
    mutating func reserve() -> WaiterID {
        let index = free.popLast() ?? slots.count
        if index == slots.count { slots.append(nil) }
        return nextID(index)
    }

    mutating func release(_ id: WaiterID) { free.append(Self.index(of: id)) }

    mutating func add(_ id: WaiterID) -> PoolWaiter {
        let waiter = PoolWaiter(id: id)
        slots[Self.index(of: id)] = waiter
        return waiter
    }

    mutating func remove(_ id: WaiterID) -> PoolWaiter? {
        let index = Self.index(of: id)
        guard index < slots.count, let waiter = slots[index], waiter.id == id else { return nil }
        slots[index] = nil
        free.append(index)
        return waiter
    }

    private static func index(of id: WaiterID) -> Int { Int(id.rawValue & ((1 << indexBits) - 1)) }

    private mutating func nextID(_ index: Int) -> WaiterID {
        serial += 1
        return WaiterID(rawValue: serial << Self.indexBits | UInt64(index))
    }
}

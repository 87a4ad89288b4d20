internal import PoolCore
internal import PostgresWire
public import ServiceLifecycle
internal import Synchronization

extension Engine: Service {
    /// Opens connections up to `minimumIdle`, at least one, or throws why not. A server that is starting is waited for, as by a
    /// checkout.
    public func warmUp() async throws {
        if try await pool.warmUp() { return }
        try await ping()
        if try await pool.warmUp() { return }
        throw pool.whyNotWarm
    }

    /// One round trip on a pooled connection. Throws what keeps the engine from its server.
    public func ping() async throws {
        try Task.checkCancellation()
        let lease = try await pool.checkout(until: checkoutDeadline(nil), urgent: true)
        let isAlive = await lease.connection.ping(within: ConnectionPool.housekeepingTimeout)
        pool.giveBack(lease, isAlive ? .clean : .broken)
        guard isAlive else { throw EngineError.connectionLost("no answer to a ping") }
    }

    /// Changes the pool's size at run time. Nobody loses a connection: what is too many closes at its return.
    ///
    /// A size below 1 counts as 1, a negative overflow as 0.
    public func resize(size: Int, maxOverflow: Int) {
        resize(size: size, maxOverflow: PoolOptions.Overflow(maxOverflow))
    }

    /// As the other form, for `maxOverflow: .unlimited`.
    public func resize(size: Int, maxOverflow: PoolOptions.Overflow) {
        pool.apply(.resized(size: max(size, 1), maxOverflow: maxOverflow.limit.map { max($0, 0) }))
    }

    /// Every open connection is replaced: idle ones now, lent ones at their return. What was learned of the database's types is
    /// asked for again, for the server may be another one.
    public func invalidate() {
        pool.connector.types.doubtAll()
        pool.apply(.invalidated)
    }

    /// Refuses new work, lets what runs go on for `grace`, then cancels it, and closes every connection. Idempotent.
    public func shutdown(grace: Duration = .seconds(10)) async { await pool.shutdown(grace: grace) }

    /// Waits for the service group's graceful shutdown, then shuts the engine down. Sessions do not need it to be running.
    public func run() async throws {
        try? await gracefulShutdown()
        await shutdown()
    }
}

extension ConnectionPool {
    /// False: an attempt to connect has failed. The attempts go on where the caller is cancelled.
    func warmUp() async throws -> Bool {
        let waiter = WarmUpWaiter()
        let isWarm = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiter.enter(continuation)
                apply { state in
                    state.onWarm.append(waiter)
                    return .warmUp
                }
            }
        } onCancel: {
            waiter.end(false)
        }
        try Task.checkCancellation()
        return isWarm
    }

    fileprivate var whyNotWarm: EngineError {
        state.withLock { state in
            if state.isShuttingDown { return .shutDown }
            return .connectFailed(state.lastConnectFailure ?? ConnectFailure(message: "a connection was lost again"))
        }
    }

    /// After the grace, statements are cancelled; whoever keeps a connection even then has its socket ended.
    func shutdown(grace: Duration) async {
        let patience = Monotonic.now.advanced(by: grace).advanced(by: WireConnection.cancelTimeout)
        let timer = EventLoops.shared.schedule(at: patience) { [weak self] in self?.endShutdown() }
        let listeners = state.withLock { state in
            state.isShuttingDown = true
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.sever() }
        await drain(grace: grace)
        EventLoops.shared.cancel(timer)
    }

    private func endShutdown() {
        let (connections, waiting) = state.withLock { state in
            defer { state.onShutDown = [] }
            return (state.connections, state.onShutDown)
        }
        for connection in connections { connection?.wire.sever() }
        for continuation in waiting { continuation.resume() }
    }

    private func drain(grace: Duration) async {
        await withCheckedContinuation { continuation in
            let now = Self.now
            let forceAt = now + grace.inNanoseconds
            perform(
                state.withLock { state in
                    state.onShutDown.append(continuation)
                    state.machine.apply(.shutdown(forceAt: forceAt), at: now, into: &state.effects)
                    let work = collectWork(&state, now)
                    if state.machine.snapshot.isShutDown && state.machine.snapshot.live == 0 {
                        work.shutDown += state.onShutDown
                        state.onShutDown = []
                    }
                    return work
                })
        }
    }
}

/// Somebody who waits for the pool to be warm, and hears of it once, or of his cancellation.
final class WarmUpWaiter: Sendable {
    private enum State {
        case entering, over
        case waiting(CheckedContinuation<Bool, Never>)
    }

    private let state = Mutex(State.entering)

    func enter(_ continuation: CheckedContinuation<Bool, Never>) {
        let isOver = state.withLock { state in
            if case .over = state { return true }
            state = .waiting(continuation)
            return false
        }
        if isOver { continuation.resume(returning: false) }
    }

    func end(_ isWarm: Bool) {
        let waiting = state.withLock { state in
            defer { state = .over }
            return state
        }
        if case .waiting(let continuation) = waiting { continuation.resume(returning: isWarm) }
    }
}

internal import PoolCore
internal import PostgresWire
public import ServiceLifecycle
internal import Synchronization

extension Engine: Service {
    /// Opens connections up to `minimumIdle`, at least one, or throws why not.
    public func warmUp() async throws {
        let isWarm = await pool.warmUp()
        guard !isWarm else { return }
        try await ping()
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
    public func resize(size: Int, maxOverflow: Int) {
        precondition(size >= 1 && maxOverflow >= 0, "a pool has at least one connection")
        pool.apply(.resized(size: size, maxOverflow: maxOverflow))
    }

    /// Every open connection is replaced: idle ones now, lent ones at their return.
    public func invalidate() { pool.apply(.invalidated) }

    /// Refuses new work, lets what runs go on for `grace`, then cancels it, and closes every connection. Idempotent.
    public func shutdown(grace: Duration = .seconds(10)) async { await pool.shutdown(grace: grace) }

    /// Waits for the service group's graceful shutdown, then shuts the engine down. Sessions do not need it to be running.
    public func run() async throws {
        try? await gracefulShutdown()
        await shutdown()
    }
}

extension ConnectionPool {
    func warmUp() async -> Bool {
        await withCheckedContinuation { continuation in
            apply { state in
                state.onWarm.append(continuation)
                return .warmUp
            }
        }
    }

    /// After the grace, statements are cancelled; whoever keeps a connection even then has its socket ended.
    func shutdown(grace: Duration) async {
        let patience = Monotonic.now.advanced(by: grace).advanced(by: WireConnection.cancelTimeout)
        let timer = EventLoops.shared.schedule(at: patience) { [weak self] in self?.endShutdown() }
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
                    state.isShuttingDown = true
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

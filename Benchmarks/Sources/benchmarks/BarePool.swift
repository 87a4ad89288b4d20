import PostgresSessions
import Synchronization

/// The least that a pool can be: a lock, a list of what is free, a queue of who waits. No deadline, no cancellation, no
/// health, no statistics. What a real pool costs beyond it is the price of these.
final class BarePool: Sendable {
    private struct State {
        var free: [Int]
        var waiters: [UnsafeContinuation<Int, Never>] = []
        var firstWaiter = 0
    }

    private let state: Mutex<State>

    init(size: Int) { state = Mutex(State(free: Array(0..<size))) }

    func withResource(_ body: (Int) async throws -> Void) async rethrows {
        let resource = await borrow()
        defer { giveBack(resource) }
        try await body(resource)
    }

    private func borrow() async -> Int {
        if let free = state.withLock({ $0.free.popLast() }) { return free }
        return await withUnsafeContinuation { continuation in
            let free = state.withLock { state -> Int? in
                if let free = state.free.popLast() { return free }
                state.waiters.append(continuation)
                return nil
            }
            if let free { continuation.resume(returning: free) }
        }
    }

    private func giveBack(_ resource: Int) {
        let waiter = state.withLock { state -> UnsafeContinuation<Int, Never>? in
            guard state.firstWaiter < state.waiters.count else {
                state.free.append(resource)
                return nil
            }
            let waiter = state.waiters[state.firstWaiter]
            state.firstWaiter += 1
            if state.firstWaiter == state.waiters.count || state.firstWaiter > 4096 {
                state.waiters.removeFirst(state.firstWaiter)
                state.firstWaiter = 0
            }
            return waiter
        }
        waiter?.resume(returning: resource)
    }

    /// The same work as the engine's, on the same executor.
    static func checkout(
        clients: Int, connections: Int, seconds: Double, executor: some TaskExecutor
    ) async throws -> Measurement {
        let pool = BarePool(size: connections)
        let yields = clients > 1
        return try await Stopwatch.run(clients: clients, seconds: seconds, executor: executor) { watch, _ in
            var counted = 0
            while !watch.isOver {
                await pool.withResource { _ in if yields { await Task.yield() } }
                if watch.isCounting { counted += 1 }
            }
            return counted
        }
    }
}

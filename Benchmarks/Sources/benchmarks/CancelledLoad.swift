import PostgresSessions
import Synchronization

/// A load in which every tenth statement is cancelled while the server is at it, and the same load in which it is not.
extension EngineContestant {
    /// Counts the nine others: what they get done is what somebody else's cancellations cost.
    func load(cancelling: Bool) async throws -> Measurement {
        let accounts = accounts
        let cancelled = Counter()
        var reconnects = 0
        var measurement = try await withEngine { engine in
            let opened = engine.statistics.opened
            defer { reconnects = engine.statistics.opened - opened }
            return try await Stopwatch.run(clients: clients, seconds: seconds, executor: engine.executor) {
                watch, index in
                var random = AccountNumbers(seed: index, count: accounts)
                var (counted, number) = (0, index)
                while !watch.isOver {
                    number += 1
                    let query = Self.statement(random.next())
                    guard number % 10 == 0 else {
                        _ = try await engine.query(query, as: Int32.self).one()
                        if watch.isCounting { counted += 1 }
                        continue
                    }
                    let isCancelled = try await Self.tenth(query, engine, cancelling: cancelling)
                    if isCancelled && watch.isCounting { cancelled.add() }
                }
                return counted
            }
        }
        measurement.cancelled = cancelled.value
        measurement.reconnects = reconnects
        return measurement
    }

    /// Ten milliseconds in the server: long enough to be cancelled there. Of one that takes less than four, the task's
    /// cancellation may be noticed when it is over.
    private static func statement(_ account: Int) -> SQLQuery {
        "SELECT abalance FROM pgbench_accounts, pg_sleep(0.01) WHERE aid = \(account)"
    }

    /// A statement that says when it has its connection, and may be cancelled then. True: it was.
    private static func tenth(_ query: SQLQuery, _ engine: Engine, cancelling: Bool) async throws -> Bool {
        let (hasConnection, tell) = AsyncStream.makeStream(of: Void.self)
        let statement = Task(executorPreference: engine.executor) {
            defer { tell.finish() }
            try await engine.withConnection { connection in
                tell.yield()
                _ = try await connection.query(query, as: Int32.self).one()
            }
        }
        for await _ in hasConnection { break }
        if cancelling {
            await Task.yield()
            statement.cancel()
        }
        do {
            try await statement.value
            return false
        } catch is CancellationError {
            return true
        }
    }
}

private final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add() { count.add(1, ordering: .relaxed) }
}

import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Synchronization
import Testing

private let one = PoolOptions(size: 1, maxOverflow: 0)

/// Statements without end, or some, and how many of them have been asked for.
private final class Source: Sendable {
    private let asked = Atomic<Int>(0)
    var count: Int { asked.load(ordering: .relaxed) }

    func statements(_ last: Int = .max, _ more: @escaping (Int) -> SQLQuery? = { _ in nil }) -> some Sequence<SQLQuery>
    {
        sequence(state: 0) { [self] id in
            guard id < last else { return nil as SQLQuery? }
            id += 1
            asked.store(id, ordering: .relaxed)
            return more(id) ?? "INSERT INTO items VALUES (\(id), \("item \(id)"))"
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A batch` {
    @Test(arguments: [1, 100]) func `and its COMMIT are two flights`(count: Int) async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.execute("SELECT 1")
            let before = try shop.proxy.flights
            let results = try await shop.engine.withTransaction { session in
                try await session.execute(batch: Source().statements(count))
            }
            let after = try shop.proxy.flights
            #expect(after - before == 2)
            #expect(results.count == count)
        }
    }

    /// Three chunks and COMMIT are 0.8 s; with a round trip for each of the smaller pieces that leave as they are made, the
    /// network alone would take 16 s.
    @Test func `takes a round trip for four thousand statements`() async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.execute("SELECT 1")
            let proxy = try shop.proxy
            proxy.latency = .milliseconds(200)
            let start = ContinuousClock.now
            let results = try await shop.engine.withTransaction { session in
                try await session.execute(batch: Source().statements(10_000))
            }
            let duration = ContinuousClock.now - start
            proxy.latency = .zero
            #expect(results.count == 10_000)
            #expect(results.allSatisfy { $0.rowsAffected == 1 })
            let stored = try await shop.itemCount()
            #expect(stored == 10_000)
            #expect(duration < .seconds(12))
        }
    }

    @Test func `of nothing says nothing`() async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.execute("SELECT 1")
            let before = try shop.proxy.flights
            try await shop.engine.withTransaction { session in
                let results = try await session.execute(batch: Source().statements(0))
                #expect(results.isEmpty)
            }
            let after = try shop.proxy.flights
            #expect(after == before)
        }
    }

    /// In the first flight, at its end, and in a later one.
    @Test(arguments: [1, 100, 4_096, 4_097, 9_999])
    func `ends with the statement that is refused, and nothing is kept`(bad: Int) async throws {
        try await withShop(one) { shop in
            let source = Source()
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await session.execute(
                        batch: source.statements { $0 == bad ? "INSERT INTO items VALUES (\($0), NULL)" : nil })
                }
            }
            let refusal = try #require(error as? ServerError)
            #expect(refusal.sqlState == .notNullViolation)
            #expect(refusal.query?.contains("NULL") == true)
            // Those that were said before the refusal came are in vain, and not many.
            #expect(source.count < bad + 5_000)
            let stored = try await shop.itemCount()
            #expect(stored == 0)
            #expect(try await shop.engine.query("SELECT 1", as: Int.self).one() == 1)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// What it has made leaves while it makes more.
    @Test func `whose source is slow hears soon that a statement was refused`() async throws {
        try await withShop(one) { shop in
            let source = Source()
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await session.execute(
                        batch: source.statements(2_000) { id in
                            Thread.sleep(forTimeInterval: 0.001)
                            return id == 1 ? "INSERT INTO items VALUES (\(id), NULL)" : nil
                        })
                }
            }
            #expect((error as? ServerError)?.sqlState == .notNullViolation)
            #expect(source.count < 100)
        }
    }

    @Test(arguments: [1, 5_000])
    func `ends with the statement that cannot be said`(bad: Int) async throws {
        try await withShop(one) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute(
                        batch: Source().statements { $0 == bad ? "SELECT \("\0")" : nil })
                }
            }
            #expect(ending == .encoding)
            let stored = try await shop.itemCount()
            #expect(stored == 0)
            #expect(try await shop.engine.query("SELECT 1", as: Int.self).one() == 1)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `without end is ended by its task's cancellation, and the connection stays`() async throws {
        try await withShop(one) { shop in
            let source = Source()
            let task = Task(executorPreference: testExecutor) {
                try await shop.engine.withTransaction { session in
                    try await session.execute(batch: source.statements())
                }
            }
            try await eventually("it is under way") { source.count > 20_000 }
            task.cancel()
            let ending = await outcome { try await task.value }
            #expect(ending == .cancelled)
            let stored = try await shop.itemCount()
            #expect(stored == 0)
            #expect(try await shop.engine.query("SELECT 1", as: Int.self).one() == 1)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `that waits for a lock is ended by its task's cancellation`() async throws {
        try await withShop(one) { shop in
            let locked = shop.lockedStatement
            try await shop.whileLocked {
                let task = Task(executorPreference: testExecutor) {
                    try await shop.engine.withTransaction { session in
                        try await session.execute(batch: Source().statements { $0 == 300 ? locked : nil })
                    }
                }
                try await shop.untilWaiting()
                task.cancel()
                let ending = await outcome { try await task.value }
                #expect(ending == .cancelled)
            }
            let stored = try await shop.itemCount()
            #expect(stored == 0)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `that takes long lets the others on its thread run`() async throws {
        try await withShop { shop in
            let source = Source()
            let batches = (0..<4).map { _ in
                Task(executorPreference: testExecutor) {
                    try await shop.engine.withSession { session in
                        try await session.begin()
                        try await session.execute("CREATE TEMP TABLE items (id int8, name text) ON COMMIT DROP")
                        try await session.execute(batch: source.statements())
                    }
                }
            }
            try await eventually("they are under way") { source.count > 5_000 }
            // All connections are lent: this one asks for nothing but its turn.
            await Task(executorPreference: shop.engine.executor) { await Task.yield() }.value
            for batch in batches { batch.cancel() }
            for batch in batches {
                let ending = await outcome { try await batch.value }
                #expect(ending == .cancelled)
            }
            #expect(shop.engine.statistics.opened == 4)
        }
    }

    /// What has been taken from a sequence cannot be taken again, so it is kept until it cannot be needed.
    @Test(arguments: [0, 1, 300, 40_000])
    func `whose connection turns out to be dead is said again, each statement once`(bytes: Int) async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.execute("SELECT 1")
            try shop.proxy.cut(afterBytes: bytes, .toServer)
            let source = Source()
            let results = try await shop.engine.withTransaction { session in
                try await session.execute(batch: source.statements(3_000))
            }
            #expect(results.count == 3_000)
            #expect(source.count == 3_000)
            let stored = try await shop.itemCount()
            #expect(stored == 3_000)
            #expect(shop.engine.statistics.opened == 2)
        }
    }

    @Test func `whose connection ends in a later flight is lost, and nothing is kept`() async throws {
        try await withShop(one, behindProxy: true) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute("SELECT 1")
                    try shop.proxy.cut(afterBytes: 500_000, .toServer)
                    try await session.execute(batch: Source().statements())
                }
            }
            #expect(ending == .connectionLost)
            let stored = try await shop.itemCount()
            #expect(stored == 0)
            #expect(try await shop.engine.query("SELECT 1", as: Int.self).one() == 1)
        }
    }

    @Test func `is tracked to its end: the transaction's id is asked for behind its statements`() async throws {
        try await withShop(one, session: SessionOptions(tracksOutcome: true), behindProxy: true) { shop in
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    let results = try await session.execute(batch: Source().statements(200))
                    #expect(results.count == 200)
                    #expect(results.allSatisfy { $0.tag == "INSERT 0 1" })
                    try shop.proxy.cut(afterBytes: 0, .toClient)
                }
            }
            guard case EngineError.commitOutcomeUnknown(let commit) = error else { throw error }
            try await eventually("the server knows") { try await shop.engine.outcome(of: commit) == .committed }
        }
    }

    /// Each answer is as long as the statement was: neither side's buffers may fill while the other waits.
    @Test func `of long statements with long answers goes on`() async throws {
        try await withShop(one) { shop in
            let long = String(repeating: "x", count: 20_000)
            let results = try await shop.engine.withTransaction { session in
                try await session.execute(batch: (1...2_000).lazy.map { "SELECT \($0)::int8, \(long)::text" })
            }
            #expect(results.count == 2_000)
            #expect(results.allSatisfy { $0.rowsAffected == 1 })
        }
    }

    /// The timeout is a statement's, and neither the batch's nor its source's.
    @Test(arguments: [0, 10]) func `may take longer than a statement may`(millisecondsToMake: Int) async throws {
        let limited = SessionOptions(statementTimeout: .milliseconds(300))
        try await withShop(one, session: limited) { shop in
            let results = try await shop.engine.withTransaction { session in
                try await session.execute(
                    batch: Source().statements(200) { _ in
                        usleep(UInt32(1_000 * millisecondsToMake))
                        return millisecondsToMake == 0 ? "SELECT pg_sleep(0.008)" : nil
                    })
            }
            #expect(results.count == 200)
        }
    }

    @Test func `of queries may take longer than a statement may`() async throws {
        try await withShop(one, session: SessionOptions(statementTimeout: .milliseconds(300))) { shop in
            let answers = try await shop.engine.withTransaction { session in
                func nap() -> RowQuery<String> { session.query("SELECT pg_sleep(0.2)::text", as: String.self) }
                return try await session.pipeline(nap(), nap(), nap(), nap(), nap(), nap())
            }
            #expect(answers.5.count == 1)
        }
    }

    @Test func `ends with the statement that takes too long`() async throws {
        try await withShop(one, session: SessionOptions(statementTimeout: .milliseconds(300))) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute(
                        batch: Source().statements(1_000) { $0 == 500 ? "SELECT pg_sleep(30)" : nil })
                }
            }
            #expect(ending == .statementTimedOut)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// Nothing has been asked of the server yet, so it is not dead.
    @Test func `whose statements are made slowly does not take its connection for dead`() async throws {
        let pool = PoolOptions(size: 1, maxOverflow: 0, prePing: .automatic(idleLongerThan: .zero))
        try await withShop(pool) { shop in
            try await shop.engine.execute("SELECT 1")
            try await shop.engine.withTransaction { session in
                try await session.execute(
                    batch: Source().statements(140) { _ in
                        usleep(20_000)
                        return nil
                    })
            }
            let stored = try await shop.itemCount()
            #expect(stored == 140)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `ends when the time of its scope is up, also where it is made slowly`() async throws {
        try await withShop(one) { shop in
            let source = Source()
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.withTimeout(.milliseconds(400)) { session in
                        try await session.execute(
                            batch: source.statements { _ in
                                usleep(2_000)
                                return nil
                            })
                    }
                }
            }
            #expect(ending == .statementTimedOut)
            #expect(source.count < 2_000)
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

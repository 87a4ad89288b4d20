import PostgresSessions
import PostgresSessionsTesting
import Testing

/// Work that goes on for longer than anybody waits.
enum LongWork: String, CaseIterable, Sendable {
    case statement, statements, rawStatement, rawStatements, batch, stream, copyOut, copyIn

    func run(on engine: Engine) async throws {
        let rows: SQLQuery = "SELECT generate_series(1, 100000000)"
        switch self {
        case .statement: try await engine.withSession { _ = try await $0.execute("SELECT pg_sleep(60)") }
        case .statements: try await engine.withSession { while true { _ = try await $0.execute("SELECT 1") } }
        case .rawStatements: try await engine.withConnection { while true { _ = try await $0.execute("SELECT 1") } }
        case .rawStatement: try await engine.withConnection { _ = try await $0.execute("SELECT pg_sleep(60)") }
        case .batch:
            let statements = (0..<100_000_000).lazy.map { "SELECT \($0)" as SQLQuery }
            try await engine.withTransaction { _ = try await $0.execute(batch: statements) }
        case .stream: try await engine.withSession { for try await _ in $0.query(rows, as: Int.self).stream() {} }
        case .copyOut:
            try await engine.withConnection { for try await _ in try await $0.copyOut(rows, as: Int.self) {} }
        case .copyIn:
            try await engine.withTransaction { session in
                try await session.execute("CREATE TEMPORARY TABLE sink (n int4)")
                _ = try await session.copyIn("sink", rows: Int32(0)..<Int32.max)
            }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A shutdown whose grace is over` {
    @Test(.serialized, arguments: LongWork.allCases)
    func `ends what is left, which hears why`(work: LongWork) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let task = Task { try await work.run(on: shop.engine) }
            try await eventually("it runs") { shop.engine.statistics.leased == 1 }
            try await Task.sleep(for: .milliseconds(200))
            let start = ContinuousClock.now
            await shop.engine.shutdown(grace: .milliseconds(100))
            // After five seconds its socket would have been ended.
            #expect(ContinuousClock.now - start < .seconds(5))
            let outcome = await task.result
            guard case .failure(EngineError.shutDown) = outcome else {
                Issue.record("it ended with \(outcome)")
                return
            }
        }
    }

    @Test func `ends the socket of whoever goes on, who hears why`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let engine = shop.engine
            try await engine.withSession { session in
                try await session.execute("SELECT 1")
                await engine.shutdown(grace: .zero)
                for end in [{ _ = try await session.execute("SELECT 1") }, { try await session.commit() }] {
                    do {
                        try await end()
                        Issue.record("it is said to be shut down")
                    } catch EngineError.shutDown {}
                }
            }
        }
    }

    @Test func `leaves no listener's connection, though nobody waits on it`() async throws {
        try await withShop { shop in
            let observer = RecordingObserver()
            let engine = try Engine(Engine.Configuration(url: shop.url, observers: [observer]))
            let channel = "news_\(shop.number)"
            let listening = "%LISTEN%\(channel)%"
            let counting: SQLQuery = """
                SELECT count(*) FROM pg_stat_activity WHERE query LIKE \(listening) AND pid <> pg_backend_pid()
                """
            let notifications = engine.listen(on: channel).makeAsyncIterator()
            let speaker = Task {
                while !Task.isCancelled {
                    try await shop.engine.execute("SELECT pg_notify(\(channel), '')")
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
            #expect(try await notifications.next()?.channel == channel)
            speaker.cancel()
            #expect(try await shop.engine.query(counting, as: Int.self).one() == 1)
            await engine.shutdown()
            try await eventually("it is gone") { try await shop.engine.query(counting, as: Int.self).one() == 0 }
            while try await notifications.next() != nil {}  // those that had come before
            #expect(observer.closed.count == 1)
        }
    }
}

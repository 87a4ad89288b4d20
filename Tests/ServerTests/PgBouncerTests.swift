import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Testing

private func withBouncedEngine<R>(
    statementCacheSize: Int = 0, size: Int = 4, prePing: PoolOptions.PrePing = .automatic,
    _ body: (Engine, Shop) async throws -> R
) async throws -> R {
    try await withShop { shop in
        try await PgBouncer.with(try await SharedServer.get()) { bouncer in
            let pool = PoolOptions(size: size, maxOverflow: 0, prePing: prePing)
            let engine = try Engine(
                Engine.Configuration(url: bouncer.url, pool: pool, statementCacheSize: statementCacheSize))
            do {
                let result = try await body(engine, shop)
                await engine.shutdown()
                return result
            } catch {
                await engine.shutdown()
                throw error
            }
        }
    }
}

extension Shop {
    /// The table of items, with its schema: a pooler refuses the startup parameter that would set the search path.
    fileprivate var items: SQLQuery { "\(unsafeRaw: "shop_\(number)").items" }
}

@Suite(.timeLimit(.minutes(30))) struct `Through PgBouncer in transaction mode, without prepared statements` {
    @Test func `more sessions than it has connections work side by side`() async throws {
        try await withBouncedEngine { engine, shop in
            let items = shop.items
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in 1...40 {
                    group.addTask {
                        try await engine.withTransaction { session in
                            try await session.execute("INSERT INTO \(items) VALUES (\(id), \("item"))")
                            try await session.withSavepoint { session in
                                _ = try await session.query("SELECT \(id)::int8", as: Int.self).one()
                            }
                        }
                        _ = try await engine.query("SELECT name FROM \(items) WHERE id = \(id)", as: String.self).one()
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await shop.itemCount() == 40)
        }
    }

    /// The sync ahead may have been answered by another of its connections.
    @Test func `what was idle for long proves that it lives`() async throws {
        try await withBouncedEngine(size: 8, prePing: .automatic(idleLongerThan: .zero)) { engine, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<8 {
                    group.addTask {
                        for number in 0..<200 {
                            let id = 1000 * lane + number
                            #expect(try await engine.query("SELECT \(id)", as: Int.self).one() == id)
                            let refused = await outcome { try await engine.execute("SELECT 1 / 0") }
                            #expect(refused == .server(.divisionByZero))
                            let raw = try await engine.withConnection { connection in
                                try await connection.query("SELECT \(id + 1)", as: Int.self).one()
                            }
                            #expect(raw == id + 1)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(engine.statistics.opened <= 8)
        }
    }

    @Test func `what is not committed is rolled back`() async throws {
        try await withBouncedEngine { engine, shop in
            let ended = await outcome {
                try await engine.withTransaction { session in
                    try await session.execute("INSERT INTO \(shop.items) VALUES (1, 'item')")
                    try await session.execute("SELECT 1 / 0")
                }
            }
            let count = try await shop.itemCount()
            #expect(ended == .server(.divisionByZero) && count == 0)
        }
    }

    @Test func `streams, batches and COPY work`() async throws {
        try await withBouncedEngine { engine, shop in
            let items = shop.items
            try await engine.withTransaction { session in
                let results = try await session.execute(
                    batch: (1...5_000).lazy.map { "INSERT INTO \(items) VALUES (\($0), \("item \($0)"))" })
                #expect(results.count == 5_000)
                let copied = try await session.copyIn(
                    "shop_\(shop.number).items", columns: ["id", "name"], rows: (5_001...9_000).map { ($0, "copied") })
                #expect(copied == 4_000)
                var sum = 0
                for try await id in session.query("SELECT id FROM \(items)", as: Int.self).stream() { sum += id }
                #expect(sum == 9_000 * 9_001 / 2)
                for try await _ in session.query("SELECT id FROM \(items)", as: Int.self).stream() { break }
                for try await _ in try await session.copyOut("SELECT id FROM \(items)", as: Int.self) { break }
                let count = try await session.query("SELECT count(*) FROM \(items)", as: Int.self).one()
                #expect(count == 9_000)
            }
        }
    }

    @Test func `a cancelled statement ends, and the next one is not hit`() async throws {
        try await withBouncedEngine(size: 1) { engine, shop in
            for round in 1...5 {
                let sleeping = Task(executorPreference: testExecutor) {
                    try await engine.query("SELECT pg_sleep(60), \(round)::int8", as: (String, Int).self).one()
                }
                try await eventually("it sleeps") {
                    try await shop.witness.query(
                        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'",
                        as: Int.self
                    ).one() > 0
                }
                sleeping.cancel()
                let ended = await outcome { try await sleeping.value }
                #expect(ended == .cancelled)
                #expect(try await engine.query("SELECT \(round)::int8", as: Int.self).one() == round)
            }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `Through PgBouncer in transaction mode, with prepared statements` {
    /// Each answer is right, or an error that says what to configure; never another statement's rows.
    @Test func `a statement is answered, or refused with the remedy`() async throws {
        try await withBouncedEngine(statementCacheSize: 256) { engine, shop in
            let refusals = Journal<String>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 1...8 {
                    group.addTask {
                        for number in 1...50 {
                            let expected = worker * 1_000 + number % 5
                            do {
                                let got = try await engine.withTransaction { session in
                                    _ = try await session.query("SELECT 0::int8", as: Int.self).one()
                                    // Transactions that overlap have different server connections.
                                    try await Task.sleep(for: .milliseconds(Int.random(in: 0...3)))
                                    return try await session.query(
                                        "SELECT \(unsafeRaw: "\(expected)")::int8", as: Int.self
                                    ).one()
                                }
                                #expect(got == expected)
                            } catch let error as ServerError {
                                #expect(error.sqlState == .invalidSqlStatementName)
                                refusals.append("\(error)")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(!refusals.all.isEmpty, "prepared statements last here after all")
            #expect(refusals.all.allSatisfy { $0.contains("statementCacheSize: 0") })
        }
    }
}

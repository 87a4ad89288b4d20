import PostgresSessions
import PostgresSessionsTesting
import Testing

private struct Item: Decodable, Sendable {
    var id: Int
    var name: String
}

@Suite struct `A statement with many rows` {
    private static let squares: SQLQuery = "SELECT i, i::int8 * i, 'row ' || i FROM generate_series(1, \(20_000)) i"

    @Test func `gives all of them, in order, whether they come one by one or in one piece`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            for count in [20_000, 20_000, 7, 7, 20_000, 20_000, 0, 0, 3] {
                let query: SQLQuery = "SELECT i, 'row ' || i FROM generate_series(1, \(count)) i"
                let rows = try await shop.engine.query(query, as: (Int, String).self).all()
                #expect(rows.map(\.0) == Array(0..<count).map { $0 + 1 })
                #expect(rows.last.map { $0.1 } == (count == 0 ? nil : "row \(count)"))
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `rides behind BEGIN, and before COMMIT`() async throws {
        try await withShop { shop in
            let (count, last) = try await shop.engine.withTransaction { session in
                let before = try await session.query(Self.squares, as: (Int, Int, String).self).all()
                let after = try await session.query(Self.squares, as: (Int, Int, String).self).all()
                return (before.count + after.count, after.last?.1)
            }
            #expect(count == 40_000)
            #expect(last == 400_000_000)
        }
    }

    @Test func `names the row that does not fit, and leaves its connection and transaction usable`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let query: SQLQuery = "SELECT nullif(i, 3211) FROM generate_series(1, 10000) i"
            for _ in 0..<2 {
                try await shop.engine.withTransaction { session in
                    let error = try await failure { try await session.query(query, as: Int.self).all() }
                    #expect(Self.row(error) == 3210, "\(error)")
                    #expect(try await session.query("SELECT 1", as: Int.self).one() == 1)
                }
            }
            // Through a cursor, the rows come in parts; they are counted from the first, and come before the error.
            var seen = 0
            let error = try await failure {
                for try await i in shop.engine.query(query, as: Int.self).stream() {
                    seen += 1
                    #expect(i == seen)
                }
            }
            #expect(Self.row(error) == 3210, "\(error)")
            #expect(seen == 3210)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    private static func row(_ error: any Error) -> Int? {
        guard case EngineError.decoding(let failure) = error else { return nil }
        return failure.row
    }

    @Test func `that fails in the middle gives its error and no row`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            for _ in 0..<2 {
                let query: SQLQuery = "SELECT 1 / (9000 - i) FROM generate_series(1, 10000) i"
                let error = try await failure { try await shop.engine.query(query, as: Int.self).all() }
                #expect((error as? ServerError)?.sqlState == .divisionByZero, "\(error)")
            }
            #expect(try await shop.engine.query(Self.squares, as: (Int, Int, String).self).all().count == 20_000)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `whose table has changed is prepared anew, and gives every row once`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.execute("INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 5000) i")
            for round in 0..<2 {
                #expect(try await shop.engine.query("SELECT * FROM items", as: Item.self).all().count == 5000)
                try await shop.witness.execute(
                    "ALTER TABLE items ADD COLUMN \(identifier: "extra \(round)") int")
            }
            #expect(try await shop.engine.query("SELECT * FROM items", as: Item.self).all().count == 5000)
        }
    }

    @Test func `ends with its task's cancellation, and its connection stays`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let task = Task(executorPreference: testExecutor) {
                let query: SQLQuery = "SELECT repeat('x', 1000) FROM generate_series(1, 100000000) i"
                return try await shop.engine.query(query, as: String.self).all().count
            }
            try await Task.sleep(for: .milliseconds(100))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(try await shop.engine.query("SELECT 1", as: Int.self).one() == 1)
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

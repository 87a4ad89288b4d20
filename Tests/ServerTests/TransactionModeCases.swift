import PostgresSessions
import PostgresSessionsTesting
import Testing

// SQLAlchemy's cases of two-phase commit (R), isolation (S) and the rest (T), by their numbers.

private let one = PoolOptions(size: 1, maxOverflow: 0)

@Suite(.timeLimit(.minutes(30))) struct `Two-phase commit` {
    private func withPreparing(_ body: (Shop) async throws -> Void) async throws {
        try await withServer(settings: ["max_prepared_transactions": "4"]) { server in
            try await withShop(one, server: server, body)
        }
    }

    @Test func `R01 R02 R09: four in a row on one session leave what was committed`() async throws {
        try await withPreparing { shop in
            try await shop.engine.withSession { session in
                for id in 1...4 {
                    try await session.execute("INSERT INTO items VALUES (\(id), 'item')")
                    switch id {
                    case 1, 4: try await session.prepare(as: "unit \(id)")
                    case 2: try await session.commit()
                    default: try await session.rollback()
                    }
                }
            }
            try await shop.engine.commitPrepared("unit 1")
            try await shop.engine.rollbackPrepared("unit 4")
            #expect(try await shop.witness.query("SELECT id FROM items ORDER BY id", as: Int.self).all() == [1, 2])
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `R04: that was not prepared is rolled back with its session`() async throws {
        try await withPreparing { shop in
            try await shop.engine.withSession { try await $0.execute("INSERT INTO items VALUES (1, 'item')") }
            #expect(try await shop.engine.preparedTransactions().isEmpty)
            #expect(try await shop.itemCount() == 0)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `R08: needs a transaction`() async throws {
        try await withPreparing { shop in
            try await shop.engine.withSession { session in
                #expect(await outcome { try await session.prepare(as: "none") } == .invalidState)
                try await session.begin()
                #expect(await outcome { try await session.prepare(as: "none") } == .invalidState)
            }
        }
    }

    @Test func `R10: that the server refuses leaves nothing, and the session goes on`() async throws {
        try await withPreparing { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'first')")
                try await session.prepare(as: "taken")
                try await session.execute("INSERT INTO items VALUES (2, 'refused')")
                #expect(await outcome { try await session.prepare(as: "taken") } == .server(.duplicateObject))
                #expect(session.transactionStatus == .idle)
                try await session.execute("INSERT INTO items VALUES (3, 'kept')")
                try await session.commit()
            }
            try await shop.engine.rollbackPrepared("taken")
            #expect(try await shop.names() == ["kept"])
        }
    }

    @Test func `R06 S17: ends outside a transaction, where an unknown name is the only error`() async throws {
        try await withPreparing { shop in
            #expect(await outcome { try await shop.engine.commitPrepared("nobody's") } == .server(.undefinedObject))
            #expect(await outcome { try await shop.engine.rollbackPrepared("nobody's") } == .server(.undefinedObject))
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `The isolation level` {
    private func level(_ session: Session) async throws -> String {
        try await session.query("SHOW transaction_isolation", as: String.self).one()
    }

    @Test func `S01 S09 S14: of an engine stays over checkouts, and over a lost connection`() async throws {
        try await withShop(one, session: SessionOptions(isolationLevel: .repeatableRead)) { shop in
            for round in 1...4 {
                let now = try await shop.engine.withTransaction { try await level($0) }
                #expect(now == "repeatable read")
                let other = try await shop.engine.withTransaction(isolationLevel: .serializable) { try await level($0) }
                #expect(other == "serializable")
                if round == 2 { try await shop.terminateBackends() }
            }
        }
    }

    @Test func `S02 K192: of one session is not another's, at the same time or later`() async throws {
        try await withShop(PoolOptions(size: 2, maxOverflow: 0)) { shop in
            try await shop.engine.withSession(options: SessionOptions(isolationLevel: .serializable)) { strict in
                #expect(try await level(strict) == "serializable")
                let other = try await shop.engine.withTransaction { try await level($0) }
                #expect(other == "read committed")
                try await strict.commit()
            }
            for _ in 1...4 {
                let now = try await shop.engine.withTransaction { try await level($0) }
                #expect(now == "read committed")
            }
        }
    }

    @Test func `S04: is not changed in a transaction, and may be in the next`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.execute("SELECT 1")
                #expect(await outcome { try await session.begin(isolationLevel: .serializable) } == .invalidState)
                #expect(try await level(session) == "read committed")
                try await session.rollback()
                try await session.begin(isolationLevel: .serializable)
                #expect(try await level(session) == "serializable")
            }
        }
    }

    @Test func `S18: is the server's where nobody says anything`() async throws {
        try await withServer(settings: ["default_transaction_isolation": "serializable"]) { server in
            try await withShop(one, server: server) { shop in
                let now = try await shop.engine.withTransaction { try await level($0) }
                #expect(now == "serializable")
            }
        }
    }

    @Test func `S12 S13: is none on a raw connection, where a rollback undoes nothing`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("INSERT INTO items VALUES (1, 'item')")
                try await connection.execute("ROLLBACK")
                try await connection.withSession(options: SessionOptions(isolationLevel: .serializable)) { session in
                    #expect(try await level(session) == "serializable")
                    try await session.execute("INSERT INTO items VALUES (2, 'undone')")
                }
                try await connection.execute("INSERT INTO items VALUES (3, 'item')")
            }
            #expect(try await shop.itemCount() == 2)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `What a connection remembers of its server` {
    @Test func `T08 L196: does not keep it from a type that was made anew`() async throws {
        try await withShop(one) { shop in
            try await shop.witness.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
            let query: SQLQuery = "SELECT (\("glad")::text)::mood::text"
            #expect(try await shop.engine.query(query, as: String.self).one() == "glad")
            try await shop.witness.execute("DROP TYPE mood")
            try await shop.witness.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
            #expect(try await shop.engine.query(query, as: String.self).one() == "glad")
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `T05: does not depend on who made the engine, and where`() async throws {
        let server = try await SharedServer.get()
        let engine = try await Task.detached { try Engine(url: server.url) }.value
        let numbers = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<8 { group.addTask { try await engine.query("SELECT \(number)", as: Int.self).one() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(numbers.sorted() == Array(0..<8))
        await engine.shutdown()
    }
}

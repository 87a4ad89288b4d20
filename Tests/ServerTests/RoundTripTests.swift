import PostgresSessions
import PostgresSessionsTesting
import Testing

/// How often the client spoke to the server during the body, on a connection that stood before.
private func flights(
    _ pool: PoolOptions = PoolOptions(size: 1, maxOverflow: 0), _ body: (Engine) async throws -> Void
) async throws -> Int {
    try await withShop(pool, behindProxy: true) { shop in
        try await shop.engine.warmUp()
        let before = try shop.proxy.flights
        try await body(shop.engine)
        return try shop.proxy.flights - before
    }
}

@Suite(.timeLimit(.minutes(30))) struct `The number of round trips` {
    @Test func `is two for a transaction of one statement`() async throws {
        let count = try await flights { engine in
            let answer = try await engine.withTransaction { session in
                try await session.query("SELECT 6 * 7", as: Int.self).one()
            }
            #expect(answer == 42)
        }
        #expect(count == 2)
    }

    @Test func `is two too for a transaction with options and locals`() async throws {
        let count = try await flights { engine in
            let options = SessionOptions(statementTimeout: .seconds(20), locals: ["app.tenant": "7"])
            let tenant = try await engine.withTransaction(isolationLevel: .serializable, options: options) { session in
                try await session.query("SELECT current_setting('app.tenant')", as: String.self).one()
            }
            #expect(tenant == "7")
        }
        #expect(count == 2)
    }

    @Test func `is one for an autocommit statement`() async throws {
        let count = try await flights { engine in
            let answer = try await engine.query("SELECT 6 * 7", as: Int.self).one()
            #expect(answer == 42)
        }
        #expect(count == 1)
    }

    /// K05.
    @Test func `is none for a unit of work without statements`() async throws {
        let count = try await flights { engine in
            try await engine.withTransaction { session in #expect(session.isInTransaction) }
            try await engine.withSession { session in
                try await session.begin()
                try await session.withSavepoint { _ in }
                try await session.commit()
            }
            #expect(engine.statistics.checkouts == 0)
        }
        #expect(count == 0)
    }

    @Test func `is eleven for a transaction of ten statements`() async throws {
        let count = try await flights { engine in
            try await engine.withTransaction { session in
                for id in 1...10 { try await session.execute("INSERT INTO items VALUES (\(id), 'item')") }
            }
        }
        #expect(count == 11)
    }

    @Test func `is one where the last statement carries the commit`() async throws {
        let count = try await flights { engine in
            try await engine.withSession { session in
                let result = try await session.commit(with: "INSERT INTO items VALUES (1, 'item')")
                #expect(result.rowsAffected == 1)
            }
        }
        #expect(count == 1)
    }

    /// K188.
    @Test func `does not grow by a savepoint around a statement`() async throws {
        let count = try await flights { engine in
            try await engine.withTransaction { session in
                _ = try await session.withSavepoint { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                }
                try await session.withSavepoint { _ in }
                try await session.execute("INSERT INTO items VALUES (2, 'item')")
            }
        }
        #expect(count == 3)
    }

    @Test func `grows by one when a savepoint is rolled back to`() async throws {
        let count = try await flights { engine in
            try await engine.withTransaction { session in
                let ending = await outcome {
                    try await session.withSavepoint { session in
                        try await session.execute("INSERT INTO items VALUES (1, 'item')")
                        throw OutOfStock()
                    }
                }
                #expect(ending == .other("OutOfStock(id: 7)"))
            }
        }
        #expect(count == 3)
    }

    @Test func `does not grow by the first use of a statement on a connection`() async throws {
        let count = try await flights { engine in
            for number in 1...5 {
                let query: SQLQuery = "SELECT \(unsafeRaw: "\(number)") + \(number)"
                let sum = try await engine.query(query, as: Int.self).one()
                #expect(sum == 2 * number)
            }
        }
        #expect(count == 5)
    }

    @Test(arguments: [PoolOptions.PrePing.automatic, .automatic(idleLongerThan: .zero), .never])
    func `does not grow by looking after a connection that is used again`(prePing: PoolOptions.PrePing) async throws {
        let count = try await flights(PoolOptions(size: 1, maxOverflow: 0, prePing: prePing)) { engine in
            for _ in 1...5 {
                _ = try await engine.withTransaction { session in
                    try await session.query("SELECT 1", as: Int.self).one()
                }
            }
            #expect(engine.statistics.opened == 1)
        }
        #expect(count == 10)
    }

    @Test func `is one also for a statement without a session on a connection that is doubted`() async throws {
        let prePing = PoolOptions.PrePing.automatic(idleLongerThan: .zero)
        for statementCacheSize in [0, 256] {
            try await withShop(
                PoolOptions(size: 1, maxOverflow: 0, prePing: prePing), statementCacheSize: statementCacheSize,
                behindProxy: true
            ) { shop in
                try await shop.engine.warmUp()
                let before = try shop.proxy.flights
                for number in 1...5 {
                    try await shop.engine.execute("SELECT 1")
                    #expect(try await shop.engine.query("SELECT \(number)", as: Int.self).one() == number)
                    try await shop.engine.withConnection { connection in
                        let twos = try await connection.query("SELECT 2", as: Int.self).all()
                        #expect(twos == [2])
                        let refused = await outcome { try await connection.execute("SELECT 1 / 0") }
                        #expect(refused == .server(.divisionByZero))
                    }
                }
                let flights = try shop.proxy.flights - before
                #expect(flights == 20)
                // What cannot share a transaction with anything.
                try await shop.engine.execute("VACUUM items")
                try await shop.engine.withConnection { _ = try await $0.execute("VACUUM items") }
            }
        }
    }

    @Test func `grows by one for each checkout where a ping is asked for`() async throws {
        let count = try await flights(PoolOptions(size: 1, maxOverflow: 0, prePing: .always)) { engine in
            for _ in 1...3 { try await engine.execute("SELECT 1") }
        }
        #expect(count == 6)
    }

    @Test func `is one for a rollback and none for the rollback of nothing`() async throws {
        let count = try await flights { engine in
            try await engine.withSession { session in
                try await session.rollback()
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                try await session.rollback()
                try await session.rollback()
            }
        }
        #expect(count == 2)
    }
}

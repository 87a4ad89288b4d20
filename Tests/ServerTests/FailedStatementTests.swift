import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct `A statement that the server refuses` {
    /// T12.
    @Test func `says everything that the server said`() async throws {
        try await withShop { shop in
            try await shop.engine.execute("INSERT INTO items VALUES (1, 'first')")
            let error = try await failure {
                try await shop.engine.execute("INSERT INTO items VALUES (\(1), \("hidden-value"))")
            }
            let refusal = try #require(error as? ServerError)
            #expect(refusal.sqlState == .uniqueViolation)
            #expect(refusal.severity == "ERROR")
            #expect(refusal.table == "items")
            #expect(refusal.constraint == "items_pkey")
            #expect(refusal.query == "INSERT INTO items VALUES ($1, $2)")
            #expect(!"\(refusal)".contains("hidden-value"))
            let syntax = try await failure { try await shop.engine.execute("SELECT * FORM items") }
            #expect((syntax as? ServerError)?.sqlState == .syntaxError)
            #expect((syntax as? ServerError)?.position == 10)
        }
    }

    /// K18 K181.
    @Test func `aborts its transaction until the rollback`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'first')")
                let refused = await outcome { try await session.execute("INSERT INTO items VALUES (1, 'twice')") }
                #expect(refused == .server(.uniqueViolation))
                #expect(session.transactionStatus == .failed(.uniqueViolation))
                for _ in 1...2 {
                    let next = await outcome { try await session.execute("SELECT 1") }
                    #expect(next == .transactionAborted)
                }
                let commit = await outcome { try await session.commit() }
                #expect(commit == .transactionAborted)
                try await session.rollback()
                #expect(session.transactionStatus == .idle)
                try await session.execute("INSERT INTO items VALUES (2, 'second')")
                try await session.commit()
            }
            #expect(try await shop.names() == ["second"])
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `is not forgotten where the body swallows it`() async throws {
        try await withShop { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'first')")
                    _ = await outcome { try await session.execute("INSERT INTO items VALUES (1, 'twice')") }
                }
            }
            #expect(ending == .transactionAborted)
            let count = try await shop.itemCount()
            #expect(count == 0)
        }
    }

    @Test func `as a transaction's first statement leaves a transaction to be rolled back`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                let refused = await outcome { try await session.execute("SELECT nonsense") }
                #expect(refused == .server(.undefinedColumn))
                #expect(session.isInTransaction)
                try await session.rollback()
                try await session.commit(with: "INSERT INTO items VALUES (1, 'first')")
            }
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test func `does not hurt the next borrower of its connection`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            for _ in 1...3 {
                let refused = await outcome { try await shop.engine.execute("SELECT 1 / 0") }
                #expect(refused == .server(.divisionByZero))
                let one = try await shop.engine.query("SELECT 1", as: Int.self).one()
                #expect(one == 1)
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A conflict between transactions` {
    /// A transaction that reads, lets `meanwhile` happen, writes, and must then be run again.
    private func transfer(_ shop: Shop, retry: RetryPolicy, meanwhile: SQLQuery) async throws -> (runs: Int, Outcome) {
        try await shop.witness.execute("INSERT INTO items VALUES (1, 'account', 100), (2, 'account', 100)")
        let runs = Journal<Int>()
        let ending = await outcome {
            try await shop.engine.withTransaction(isolationLevel: .serializable, retry: retry) { session in
                let sum = try await session.query("SELECT sum(price) FROM items", as: Double.self).one()
                runs.append(Int(sum))
                if runs.all.count == 1 {
                    _ = try await shop.witness.withTransaction(isolationLevel: .serializable) { other in
                        _ = try await other.query("SELECT sum(price) FROM items", as: Double.self).one()
                        return try await other.execute(meanwhile)
                    }
                }
                try await session.execute("UPDATE items SET price = price + \(sum) WHERE id = 1")
            }
        }
        return (runs.all.count, ending)
    }

    private func price(_ shop: Shop, id: Int) async throws -> Double {
        try await shop.witness.query("SELECT price FROM items WHERE id = \(id)", as: Double.self).one()
    }

    @Test func `is the caller's error where no retry was asked for`() async throws {
        try await withShop { shop in
            let (runs, ending) = try await transfer(
                shop, retry: .never, meanwhile: "UPDATE items SET price = 1 WHERE id = 1")
            #expect(runs == 1)
            #expect(ending == .server(.serializationFailure))
            #expect(try await price(shop, id: 1) == 1)
        }
    }

    @Test func `at a statement is retried where that was asked for`() async throws {
        try await withShop { shop in
            let (runs, ending) = try await transfer(
                shop, retry: .onConflict(maxAttempts: 5), meanwhile: "UPDATE items SET price = 1 WHERE id = 1")
            #expect(runs == 2)
            #expect(ending == .returned)
            #expect(try await price(shop, id: 1) == 102)
        }
    }

    @Test func `that only the end can show is retried too`() async throws {
        try await withShop { shop in
            let (runs, ending) = try await transfer(
                shop, retry: .onConflict(maxAttempts: 5), meanwhile: "UPDATE items SET price = 1 WHERE id = 2")
            #expect(runs == 2)
            #expect(ending == .returned)
            #expect(try await price(shop, id: 1) == 201)
        }
    }

    @Test func `is given up after the attempts that were allowed`() async throws {
        try await withShop { shop in
            try await shop.witness.execute("INSERT INTO items VALUES (1, 'account', 0)")
            let runs = Journal<Int>()
            let ending = await outcome {
                try await shop.engine.withTransaction(
                    isolationLevel: .repeatableRead, retry: .onConflict(maxAttempts: 3)
                ) { session in
                    runs.append(1)
                    _ = try await session.query("SELECT price FROM items", as: Double.self).one()
                    try await shop.witness.execute("UPDATE items SET price = price + 1")
                    try await session.execute("UPDATE items SET price = price + 1")
                }
            }
            #expect(ending == .server(.serializationFailure))
            #expect(runs.all.count == 3)
        }
    }

    /// The catalogue's gap: 40P01.
    @Test func `in the form of a deadlock is retried`() async throws {
        try await withShop { shop in
            try await shop.witness.execute("INSERT INTO items VALUES (1, 'a', 0), (2, 'b', 0)")
            let runs = Journal<Int>()
            @Sendable func lock(_ first: Int, _ second: Int) async throws {
                try await shop.engine.withTransaction(retry: .onConflict(maxAttempts: 10)) { session in
                    try await session.execute("UPDATE items SET price = price + 1 WHERE id = \(first)")
                    runs.append(first)
                    // Neither goes on before both have their first row; a later run waits for nobody.
                    try await eventually("both have a row") { runs.all.count >= 2 }
                    try await session.execute("UPDATE items SET price = price + 1 WHERE id = \(second)")
                }
            }
            async let one: Void = lock(1, 2)
            async let other: Void = lock(2, 1)
            _ = try await (one, other)
            #expect(runs.all.count >= 3)
            #expect(try await price(shop, id: 1) == 2)
            #expect(try await price(shop, id: 2) == 2)
        }
    }
}

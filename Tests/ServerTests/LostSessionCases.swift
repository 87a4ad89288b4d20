import PostgresSessions
import PostgresSessionsTesting
import Testing

// SQLAlchemy's cases of a disconnect during use (J) and of a session after an error (L, N), by their numbers.

private let one = PoolOptions(size: 1, maxOverflow: 0)

@Suite(.timeLimit(.minutes(30))) struct `A session whose connection is lost` {
    @Test func `J01 J02 J13 J14 J17 J18: says so to everything until a rollback, as often as it happens`() async throws
    {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'kept')")
                try await session.commit()
                for round in 2...3 {
                    try await session.execute("INSERT INTO items VALUES (\(round), 'lost')")
                    try await shop.terminateBackends()
                    #expect(await outcome { try await session.execute("SELECT 1") } == .connectionLost)
                    for _ in 1...3 {
                        #expect(session.transactionStatus == .invalidated)
                        #expect(await outcome { try await session.execute("SELECT 1") } == .transactionAborted)
                        #expect(await outcome { try await session.commit() } == .transactionAborted)
                    }
                    try await session.rollback()
                    #expect(session.transactionStatus == .idle)
                }
                try await session.execute("INSERT INTO items VALUES (4, 'kept too')")
                try await session.commit()
            }
            #expect(try await shop.names() == ["kept", "kept too"])
        }
    }

    @Test func `J08 K184: is rolled back without an error where ROLLBACK meets the loss`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'lost')")
                try await shop.terminateBackends()
                try await session.rollback()
                #expect(session.transactionStatus == .idle)
                try await session.execute("INSERT INTO items VALUES (2, 'kept')")
                try await session.commit()
            }
            #expect(try await shop.names() == ["kept"])
        }
    }

    @Test func `J09: may be closed, and stays closed`() async throws {
        try await withShop(one) { shop in
            let session = shop.engine.makeSession()
            try await session.execute("INSERT INTO items VALUES (1, 'lost')")
            try await shop.terminateBackends()
            _ = await outcome { try await session.execute("SELECT 1") }
            await session.close()
            #expect(session.transactionStatus == .closed)
            #expect(await outcome { try await session.execute("SELECT 1") } == .sessionClosed)
            #expect(shop.engine.statistics.leased == 0)
        }
    }

    @Test func `J10 J20: in a scope leaves nothing to be done after it`() async throws {
        try await withShop(one) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'lost')")
                    try await shop.terminateBackends()
                    try await session.execute("INSERT INTO items VALUES (2, 'lost')")
                }
            }
            #expect(ending == .connectionLost)
            try await shop.engine.withTransaction { try await $0.execute("INSERT INTO items VALUES (3, 'kept')") }
            #expect(try await shop.names() == ["kept"])
        }
    }

    @Test func `J16: ends its savepoints in silence, and opens none before the rollback of all`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'lost')")
                let inner = await outcome {
                    try await session.withSavepoint { session in
                        try await session.execute("INSERT INTO items VALUES (2, 'lost')")
                        try await shop.terminateBackends()
                        throw OutOfStock()
                    }
                }
                #expect(inner == .other("\(OutOfStock())"))
                #expect(await outcome { try await session.withSavepoint { _ in } } == .transactionAborted)
                try await session.rollback()
                try await session.withSavepoint { try await $0.execute("INSERT INTO items VALUES (3, 'kept')") }
                try await session.commit()
            }
            #expect(try await shop.names() == ["kept"])
        }
    }

    @Test func `J21 G108: in the middle of a stream says so at the next chunk`() async throws {
        try await withShop(one) { shop in
            var seen = 0
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    let rows = session.query("SELECT generate_series(1, 100000)", as: Int.self)
                    for try await number in rows.stream() {
                        seen += 1
                        #expect(number == seen)
                        if seen == 20 { try await shop.terminateBackends() }
                    }
                }
            }
            #expect(ending == .connectionLost)
            #expect((20..<100_000).contains(seen))
            try await shop.engine.execute("SELECT 1")
        }
    }

    @Test(arguments: [false, true])
    func `in the middle of a COPY is lost for the transaction too`(isOut: Bool) async throws {
        try await withShop(one) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    let lost = await outcome {
                        if isOut {
                            var seen = 0
                            let rows = try await session.copyOut("SELECT generate_series(1, 1000000)", as: Int32.self)
                            for try await _ in rows {
                                seen += 1
                                if seen == 20 { try await shop.terminateBackends() }
                            }
                        } else {
                            try await session.execute("INSERT INTO items VALUES (0, 'item')")
                            try await shop.terminateBackends()
                            try await session.copyIn("items", columns: ["id", "name"], rows: [(1, "item")])
                        }
                    }
                    #expect(lost == .connectionLost)
                    #expect(session.transactionStatus == .invalidated)
                }
            }
            #expect(ending == .transactionAborted)
            let count = try await shop.itemCount()
            #expect(count == 0)
        }
    }

    @Test func `J22 G112: by its own doing is told the server's reason, once`() async throws {
        try await withShop(one) { shop in
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await session.execute("SELECT 1")
                    try await session.execute("SELECT pg_terminate_backend(pg_backend_pid())")
                }
            }
            #expect(Outcome(error) == .connectionLost && "\(error)".contains("57P01"))
            try await shop.engine.execute("SELECT 1")
            #expect(shop.engine.statistics.opened == 2)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A session after an error` {
    @Test func `M14 N01: is told the first error's code however often it asks, and goes on after a rollback`()
        async throws
    {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'lost')")
                _ = await outcome { try await session.execute("INSERT INTO items VALUES (1, 'twice')") }
                for _ in 1...5 {
                    let error = try await failure { try await session.commit() }
                    #expect(Outcome(error) == .transactionAborted && "\(error)".contains("23505"))
                }
                try await session.rollback()
                try await session.execute("INSERT INTO items VALUES (1, 'corrected')")  // N02
                try await session.commit()
            }
            #expect(try await shop.names() == ["corrected"])
        }
    }

    @Test func `N04 N13: in a savepoint gets the server's error, and is active again behind it`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withTransaction { session in
                for _ in 1...2 {
                    let inner = await outcome {
                        try await session.withSavepoint { session in
                            try await session.execute("INSERT INTO items VALUES (1, 'first')")
                            try await session.execute("INSERT INTO items VALUES (1, 'twice')")
                        }
                    }
                    #expect(inner == .server(.uniqueViolation))
                    #expect(session.transactionStatus == .active)
                }
                try await session.withSavepoint { try await $0.execute("INSERT INTO items VALUES (1, 'kept')") }
            }
            #expect(try await shop.names() == ["kept"])
        }
    }

    @Test func `L10 N05 N10 K186: whose savepoint is gone can only be rolled back, and is whole again then`()
        async throws
    {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'lost')")
                let inner = await outcome {
                    try await session.withSavepoint { session in
                        try await session.execute("SAVEPOINT mine")
                        try await session.execute("ROLLBACK TO SAVEPOINT sp_1")
                        try await session.execute("RELEASE SAVEPOINT sp_1")
                        throw OutOfStock()
                    }
                }
                #expect(inner == .other("\(OutOfStock())"))
                #expect(session.transactionStatus == .invalidated)
                #expect(await outcome { try await session.commit() } == .transactionAborted)
                try await session.rollback()
                try await session.execute("INSERT INTO items VALUES (2, 'kept')")
                try await session.commit()
            }
            #expect(try await shop.names() == ["kept"])
        }
    }

    @Test func `K04 M04: begins once, and the refusal says what to do`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.begin()
                #expect(await outcome { try await session.begin() } == .invalidState)
                try await session.rollback()
                try await session.execute("SELECT 1")
                #expect(await outcome { try await session.begin() } == .invalidState)
                try await session.commit()
                try await session.begin()  // M17
                #expect(session.isInTransaction)
            }
        }
    }

    @Test func `K193: whose transaction was ended by its text is told, and begins another one`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'kept')")
                try await session.execute("COMMIT")
                #expect(session.transactionStatus == .idle)
                try await session.execute("INSERT INTO items VALUES (2, 'undone')")
                try await session.rollback()
            }
            #expect(try await shop.names() == ["kept"])
        }
    }
}

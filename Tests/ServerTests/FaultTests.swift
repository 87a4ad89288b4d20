import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct `A connection that ends while it is idle` {
    @Test func `is replaced unseen, however many end`() async throws {
        try await withShop(PoolOptions(size: 8, maxOverflow: 0)) { shop in
            try await fill(shop, 8)
            try await shop.terminateBackends()
            try await transactions(100, in: shop)
            #expect(try await shop.itemCount() == 100)
        }
    }

    @Test func `is replaced unseen also where the transactions are at work`() async throws {
        try await withShop(PoolOptions(size: 4, maxOverflow: 0)) { shop in
            for round in 0..<5 {
                try await fill(shop, 4)
                let doomed = try await shop.backends()
                try await shop.witness.execute(
                    "SELECT pg_terminate_backend(pid) FROM unnest(\(doomed)::int8[]::int4[]) AS pid")
                try await transactions(20, in: shop, from: 20 * round)
            }
            #expect(try await shop.itemCount() == 100)
        }
    }

    @Test(arguments: [FaultProxy.End.close, .reset])
    func `is replaced unseen where the network ended it`(end: FaultProxy.End) async throws {
        try await withShop(PoolOptions(size: 4, maxOverflow: 0), behindProxy: true) { shop in
            try await fill(shop, 4)
            try shop.proxy.cut(end)
            try await transactions(20, in: shop)
            for id in 100..<120 { try await shop.engine.execute("INSERT INTO items VALUES (\(id), 'autocommit')") }
            #expect(try await shop.itemCount() == 40)
        }
    }

    @Test func `is gone from the pool when it happens, not at its next use`() async throws {
        try await withShop { shop in
            try await fill(shop, 4)
            try await shop.terminateBackends()
            try await eventually("what is dead is closed: \(shop.engine.statistics)") {
                shop.engine.statistics.idle == 0 && shop.engine.statistics.closed == 4
            }
            #expect(Set(shop.observer.closed) == Set(shop.observer.lent))
        }
    }

    @Test func `without a word is found in about two seconds when it was idle for long`() async throws {
        let pool = PoolOptions(size: 1, maxOverflow: 0, prePing: .automatic(idleLongerThan: .zero))
        try await withShop(pool, behindProxy: true) { shop in
            try await fill(shop, 1)
            try shop.proxy.stall()
            let start = ContinuousClock.now
            let task = Task(executorPreference: testExecutor) {
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                }
            }
            try await eventually("it is given up") {
                shop.engine.statistics.opened + shop.engine.statistics.connecting == 2
            }
            #expect(ContinuousClock.now - start > .seconds(1))
            #expect(ContinuousClock.now - start < .seconds(15))
            try shop.proxy.cut()
            try shop.proxy.resume()
            _ = try await task.value
            #expect(try await shop.itemCount() == 1)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A connection that ends in a transaction` {
    /// J01 K190 G117.
    @Test func `is an error, and the session goes on after a rollback`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'lost')")
                try await shop.terminateBackends()
                let next = await outcome { try await session.execute("INSERT INTO items VALUES (2, 'never')") }
                #expect(next == .connectionLost)
                #expect(session.transactionStatus == .invalidated)
                let again = await outcome { try await session.execute("INSERT INTO items VALUES (3, 'never')") }
                #expect(again == .transactionAborted)
                try await session.rollback()
                try await session.execute("INSERT INTO items VALUES (4, 'kept')")
                try await session.commit()
            }
            #expect(try await shop.names() == ["kept"])
        }
    }

    @Test func `says what the server's last words were`() async throws {
        try await withShop { shop in
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'lost')")
                    try await shop.terminateBackends()
                    try await session.execute("INSERT INTO items VALUES (2, 'never')")
                }
            }
            #expect(Outcome(error) == .connectionLost)
            #expect("\(error)".contains("57P01"))
        }
    }

    @Test func `is no outcome that is unknown where COMMIT was not reached`() async throws {
        try await withShop { shop in
            let runs = Journal<Int>()
            try await shop.engine.withTransaction(retry: .onConflict(maxAttempts: 3)) { session in
                runs.append(1)
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                if runs.all.count == 1 { try await shop.terminateBackends() }
                try await session.execute("INSERT INTO items VALUES (2, 'item')")
            }
            #expect(runs.all.count == 2)
            #expect(try await shop.itemCount() == 2)
        }
    }

    /// G104.
    @Test func `with a statement under way ends that statement`() async throws {
        try await withShop { shop in
            let task = try await shop.whileLocked {
                let task = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withTransaction { session in
                            try await session.execute("INSERT INTO items VALUES (1, 'item')")
                            try await session.execute(shop.lockedStatement)
                        }
                    }
                }
                try await shop.untilWaiting()
                try await shop.terminateBackends()
                return task
            }
            #expect(await task.value == .connectionLost)
            #expect(try await shop.itemCount() == 0)
        }
    }
}

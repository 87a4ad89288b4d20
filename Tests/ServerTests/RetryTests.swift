import PostgresSessions
import PostgresSessionsTesting
import Testing

private let one = PoolOptions(size: 1, maxOverflow: 0)
private let thrice = RetryPolicy.onConflict(maxAttempts: 3, baseDelay: .milliseconds(1))

@Suite(.timeLimit(.minutes(30))) struct `A retry` {
    private func conflict(_ code: String = "40001") -> SQLQuery {
        SQLQuery(unsafeRaw: "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '\(code)'; END $$")
    }

    @Test func `is counted for the observers`() async throws {
        try await withShop(one) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction(retry: thrice) { try await $0.execute(conflict("40P01")) }
            }
            #expect(ending == .server(.deadlockDetected))
            #expect(shop.observer.retries == [2, 3])
        }
    }

    @Test func `comes after a conflict that the body has swallowed`() async throws {
        try await withShop(one) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction(retry: thrice) { session in
                    _ = await outcome { try await session.execute(conflict()) }
                }
            }
            #expect(ending == .transactionAborted)
            #expect(shop.observer.retries == [2, 3])
        }
    }

    /// A COPY's code is the transaction's, and one that comes too late does not take its place.
    @Test func `comes after a conflict in a COPY that the body has swallowed`() async throws {
        try await withShop(one) { shop in
            try await shop.witness.execute(
                """
                CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40P01'; END $$
                """)
            try await shop.witness.execute(
                "CREATE TRIGGER collide BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION collide()")
            let ending = await outcome {
                try await shop.engine.withTransaction(retry: thrice) { session in
                    let refused = await outcome {
                        try await session.copyIn("items", columns: ["id", "name"], rows: [(1, "item")])
                    }
                    #expect(refused == .server(.deadlockDetected))
                    #expect(session.transactionStatus == .failed(.deadlockDetected))
                    let late = await outcome {
                        for try await _ in try await session.copyOut("SELECT 1::int8", as: Int.self) {}
                    }
                    #expect(late == .transactionAborted)
                    #expect(session.transactionStatus == .failed(.deadlockDetected))
                }
            }
            #expect(ending == .transactionAborted)
            #expect(shop.observer.retries == [2, 3])
        }
    }

    @Test(arguments: ["commit()", "a lost commit()", "COMMIT", "ROLLBACK, and a COMMIT behind it"])
    func `never comes where the body has committed, or may have`(by: String) async throws {
        try await withShop(behindProxy: true) { shop in
            let insert: SQLQuery = "INSERT INTO items SELECT count(*), 'item' FROM items"
            let ending = await outcome {
                try await shop.engine.withTransaction(retry: thrice) { session in
                    try await session.execute(insert)
                    switch by {
                    case "COMMIT": try await session.execute("COMMIT")
                    case "commit()": try await session.commit()
                    case "a lost commit()":
                        try shop.proxy.cut(afterBytes: 0, .toClient)
                        #expect(await outcome { try await session.commit() } == .commitOutcomeUnknown)
                    default: try await session.execute(batch: ["ROLLBACK", "BEGIN", insert, "COMMIT"])
                    }
                    // Somebody else's conflict.
                    try await shop.engine.execute(conflict())
                }
            }
            #expect(ending == .server(.serializationFailure))
            #expect(shop.observer.retries.isEmpty)
            try await eventually("the server has committed") { try await shop.itemCount() == 1 }
        }
    }

    @Test func `never comes where the task is cancelled; the error is the body's`() async throws {
        try await withShop(one) { shop in
            let task = Task(executorPreference: testExecutor) {
                await outcome {
                    try await shop.engine.withTransaction(retry: thrice) { session in
                        let ending = try await failure { try await session.execute(conflict()) }
                        withUnsafeCurrentTask { $0?.cancel() }
                        throw ending
                    }
                }
            }
            #expect(await task.value == .server(.serializationFailure))
            #expect(shop.observer.retries.isEmpty)
        }
    }

    @Test(arguments: [false, true])
    func `comes after a connection that ended before COMMIT was sent`(withStatement: Bool) async throws {
        try await withShop(one) { shop in
            let runs = Journal<Int>()
            try await shop.engine.withTransaction(retry: thrice) { session in
                runs.append(1)
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                if runs.all.count == 1 {
                    try await shop.terminateBackends()
                    // The end of a socket is heard a moment after the server has counted it.
                    try await Task.sleep(for: .milliseconds(50))
                }
                if withStatement { try await session.commit(with: "UPDATE items SET name = 'last'") }
            }
            #expect(runs.all.count == 2)
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test func `comes after a statement whose table changed in mid-transaction`() async throws {
        try await withShop(one) { shop in
            _ = try await shop.engine.query("SELECT * FROM items").all()
            let runs = Journal<Int>()
            try await shop.engine.withTransaction(retry: thrice) { session in
                runs.append(1)
                try await session.execute("SELECT 1")
                if runs.all.count == 1 { try await shop.witness.execute("ALTER TABLE items ADD COLUMN more int8") }
                _ = try await session.query("SELECT * FROM items").all()
            }
            #expect(runs.all.count == 2)
        }
    }
}

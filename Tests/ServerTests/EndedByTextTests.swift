import PostgresSessions
import PostgresSessionsTesting
import Testing

private let one = PoolOptions(size: 1, maxOverflow: 0)

@Suite(.timeLimit(.minutes(30))) struct `What is due after the end` {
    @Test(arguments: ["COMMIT", "END", "ROLLBACK", "ABORT"])
    func `is due also where a statement's text ends the transaction`(text: String) async throws {
        try await withShop(one) { shop in
            let told = Journal<String>()
            try await shop.engine.withSession { session in
                session.afterCommit { told.append("committed") }
                session.afterRollback { told.append("rolled back") }
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                try await session.execute(SQLQuery(unsafeRaw: text))
                #expect(told.all == [["COMMIT", "END"].contains(text) ? "committed" : "rolled back"])
                try await session.execute("SELECT 1")
                try await session.commit()
            }
            #expect(told.all.count == 1)
            #expect(try await shop.itemCount() == (told.all == ["committed"] ? 1 : 0))
        }
    }

    /// The connection stays with the session until the next transaction ends; an action may want one.
    @Test(
        arguments: ["COMMIT AND CHAIN", "/* on */ END WORK AND CHAIN", "ROLLBACK AND CHAIN", "abort and chain"],
        [0, 256])
    func `is decided where a text goes on in the next transaction, and done when the connection is home`(
        text: String, statementCacheSize: Int
    ) async throws {
        try await withShop(one, statementCacheSize: statementCacheSize) { shop in
            let told = Journal<String>()
            let isCommitted = !["ROLLBACK AND CHAIN", "abort and chain"].contains(text)
            try await shop.engine.withSession { session in
                session.afterCommit { told.append("\((try? await shop.itemCount()) ?? -1) committed") }
                session.afterRollback { told.append("rolled back") }
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                try await session.execute("SAVEPOINT mark")
                try await session.execute("ROLLBACK TO mark")
                try await session.execute("ROLLBACK TRANSACTION TO SAVEPOINT mark")
                try await session.execute(SQLQuery(unsafeRaw: text))
                #expect(told.all.isEmpty && session.isInTransaction)
                session.afterCommit {
                    // The only connection is free.
                    let items = try? await shop.engine.query("SELECT count(*) FROM items", as: Int.self).one()
                    told.append("then \(items ?? -1)")
                }
                try await session.execute("INSERT INTO items VALUES (2, 'item')")
                try await session.commit()
            }
            #expect(told.all == (isCommitted ? ["2 committed", "then 2"] : ["rolled back", "then 1"]))
        }
    }

    @Test func `is decided by the first end of a flight that has several`() async throws {
        try await withShop(one) { shop in
            let told = Journal<String>()
            try await shop.engine.withSession { session in
                session.afterCommit { told.append("committed") }
                session.afterRollback { told.append("rolled back") }
                try await session.execute(
                    batch: ["INSERT INTO items VALUES (1, 'item')", "COMMIT", "BEGIN", "DELETE FROM items", "ROLLBACK"])
            }
            #expect(told.all == ["committed"])
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test func `is not done again where the text had committed before a conflict`() async throws {
        try await withShop(one) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction(retry: .onConflict(maxAttempts: 3)) { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    try await session.execute("COMMIT AND CHAIN")
                    try await session.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
                }
            }
            #expect(ending == .server(.serializationFailure))
            #expect(shop.observer.retries.isEmpty)
        }
    }

    @Test func `finds the session's settings in the next transaction`() async throws {
        try await withShop(one) { shop in
            let tenant: SQLQuery = "SELECT current_setting('app.tenant', true)"
            try await shop.engine.withSession(options: SessionOptions(locals: ["app.tenant": "7"])) { session in
                try await session.execute("SELECT 1")
                try await session.execute("COMMIT AND CHAIN")
                #expect(try await session.query(tenant, as: String?.self).one() == "7")
                try await session.execute(batch: ["ROLLBACK", "BEGIN"])
                #expect(try await session.query(tenant, as: String?.self).one() == "7")
            }
        }
    }

    @Test func `finds the limit of its scope in the next transaction`() async throws {
        try await withShop(one) { shop in
            let limit: SQLQuery = "SHOW statement_timeout"
            try await shop.engine.withSession { session in
                try await session.withTimeout(.seconds(600)) { session in
                    try await session.execute("SELECT 1")
                    try await session.execute("COMMIT AND CHAIN")
                    #expect(try await session.query(limit, as: String.self).one() != "0")
                    try await session.execute(batch: ["ROLLBACK", "BEGIN"])
                    #expect(try await session.query(limit, as: String.self).one() != "0")
                }
                #expect(try await session.query(limit, as: String.self).one() == "0")
            }
        }
    }

    /// Alone, and in the flight that begins the transaction.
    @Test(arguments: ["COMMIT", "END", "COMMIT AND CHAIN"], [false, true])
    func `is unknown where a text's COMMIT has no answer, and nothing is run again`(
        text: String, isOpening: Bool
    ) async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.warmUp()
            let told = Journal<String>()
            let proxy = try shop.proxy
            let insert: SQLQuery = "INSERT INTO items VALUES (\(unsafeRaw: "(SELECT count(*) FROM items)"), 'item')"
            let ending = await outcome {
                try await shop.engine.withTransaction(retry: .onConflict(maxAttempts: 5)) { session in
                    told.append("run")
                    session.afterCommit { told.append("committed") }
                    session.afterRollback { told.append("rolled back") }
                    if !isOpening { try await session.execute(insert) }
                    proxy.cut(afterBytes: 0, .toClient)
                    try await session.execute(
                        batch: isOpening ? [insert, SQLQuery(unsafeRaw: text)] : [SQLQuery(unsafeRaw: text)])
                }
            }
            #expect(ending == .commitOutcomeUnknown)
            #expect(told.all == ["run"])
            try await eventually("the server has committed") { try await shop.itemCount() == 1 }
        }
    }

    @Test func `is not due where a batch's text has committed before it fails`() async throws {
        try await withShop(one) { shop in
            let told = Journal<String>()
            try await shop.engine.withSession { session in
                session.afterRollback { told.append("rolled back") }
                let ending = await outcome {
                    try await session.execute(batch: ["INSERT INTO items VALUES (1, 'item')", "COMMIT", "SELECT 1 / 0"])
                }
                #expect(ending == .server(.divisionByZero))
            }
            #expect(told.all.isEmpty)
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test(arguments: ["COMMIT", "COMMIT AND CHAIN"], [false, true])
    func `is done at once where the server refuses a text's COMMIT`(text: String, isInBatch: Bool) async throws {
        try await withShop(one) { shop in
            try await shop.witness.execute(
                "CREATE TABLE pairs (id int8 PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
            let told = Journal<String>()
            try await shop.engine.withSession { session in
                session.afterCommit { told.append("committed") }
                session.afterRollback { told.append("rolled back") }
                try await session.execute(batch: ["INSERT INTO pairs VALUES (1)", "INSERT INTO pairs VALUES (1)"])
                let ending = await outcome {
                    if isInBatch {
                        try await session.execute(batch: ["SELECT 1", SQLQuery(unsafeRaw: text)])
                    } else {
                        try await session.execute(SQLQuery(unsafeRaw: text))
                    }
                }
                #expect(ending == .server(.uniqueViolation))
                #expect(session.transactionStatus == .idle)
                #expect(told.all == ["rolled back"])
            }
            #expect(told.all == ["rolled back"])
        }
    }

    @Test func `waits where the last statement found no connection`() async throws {
        try await withShop(one) { shop in
            let told = Journal<String>()
            let session = shop.engine.makeSession(checkoutTimeout: .milliseconds(20))
            session.afterCommit { told.append("committed") }
            session.afterRollback { told.append("rolled back") }
            try await shop.engine.withConnection { _ in
                let ending = await outcome { try await session.commit(with: "INSERT INTO items VALUES (1, 'item')") }
                #expect(ending == .checkoutTimedOut)
                #expect(told.all.isEmpty)
            }
            try await session.commit(with: "INSERT INTO items VALUES (1, 'item')")
            #expect(told.all == ["committed"])
            await session.close()
        }
    }

    @Test func `is nothing where nothing was begun`() async throws {
        try await withShop(one) { shop in
            let told = Journal<String>()
            try await shop.engine.withSession { session in
                session.afterCommit { told.append("committed") }
                session.afterRollback { told.append("rolled back") }
            }
            #expect(told.all.isEmpty)
        }
    }
}

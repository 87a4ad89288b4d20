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

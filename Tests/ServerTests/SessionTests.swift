import PostgresSessions
import PostgresSessionsTesting
import Testing

private func add(_ id: Int, _ name: String = "item", to session: Session) async throws {
    try await session.execute("INSERT INTO items VALUES (\(id), \(name))")
}

@Suite(.timeLimit(.minutes(30))) struct `A session` {
    /// K01 M08 M09.
    @Test func `keeps what was committed and nothing else`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                try await add(1, "kept", to: session)
                try await session.commit()
                try await add(2, "taken back", to: session)
                try await session.rollback()
                try await add(3, "kept too", to: session)
                try await session.commit()
                try await add(4, "forgotten", to: session)
            }
            #expect(try await shop.names() == ["kept", "kept too"])
        }
    }

    /// K06 M10 K185.
    @Test func `hands the user's own error through unchanged and rolls back`() async throws {
        try await withShop { shop in
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await add(1, to: session)
                    throw OutOfStock(id: 99)
                }
            }
            #expect(error as? OutOfStock == OutOfStock(id: 99))
            #expect(try await shop.itemCount() == 0)
        }
    }

    /// K185.
    @Test func `hands the user's own error through where the rollback fails too`() async throws {
        try await withShop { shop in
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await add(1, to: session)
                    try await shop.terminateBackends()
                    throw OutOfStock(id: 99)
                }
            }
            #expect(error as? OutOfStock == OutOfStock(id: 99))
            #expect(try await shop.itemCount() == 0)
        }
    }

    /// M05.
    @Test func `is rolled back while another one commits`() async throws {
        try await withShop { shop in
            let rolledBack = try await shop.whileLocked {
                let rolledBack = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withTransaction { session in
                            try await add(1, "rolled back", to: session)
                            try await session.execute(shop.lockedStatement)
                            throw OutOfStock()
                        }
                    }
                }
                try await shop.untilWaiting()
                try await shop.engine.withTransaction { session in try await add(2, "committed", to: session) }
                #expect(try await shop.names() == ["committed"])
                return rolledBack
            }
            #expect(await rolledBack.value == .other("OutOfStock(id: 7)"))
            #expect(try await shop.names() == ["committed"])
        }
    }

    /// M01 K02 M17.
    @Test func `borrows at its first statement and gives the connection home at commit`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                try await session.begin()
                #expect(shop.engine.statistics.checkouts == 0)
                try await add(1, to: session)
                #expect(shop.engine.statistics.leased == 1)
                try await session.commit()
                #expect(shop.engine.statistics.leased == 0)
                #expect(shop.engine.statistics.idle == 1)
                #expect(!session.isInTransaction)
                try await add(2, to: session)
                #expect(session.isInTransaction)
                #expect(shop.engine.statistics.leased == 1)
            }
            #expect(shop.engine.statistics.leased == 0)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// M05 M28.
    @Test func `sees its own uncommitted work, and others do not`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                try await add(1, to: session)
                let own = try await session.query("SELECT count(*) FROM items", as: Int.self).one()
                #expect(own == 1)
                #expect(try await shop.itemCount() == 0)
            }
            #expect(try await shop.itemCount() == 1)
        }
    }

    /// K02 M22.
    @Test func `in the manual form begins, commits, rolls back and closes`() async throws {
        try await withShop { shop in
            let session = shop.engine.makeSession()
            try await session.begin(isolationLevel: .repeatableRead)
            let again = await outcome { try await session.begin() }
            #expect(again == .invalidState)
            try await add(1, to: session)
            try await session.commit()
            try await add(2, to: session)
            await session.close()
            let late = await outcome { try await add(3, to: session) }
            #expect(late == .sessionClosed)
            await session.close()
            #expect(try await shop.itemCount() == 1)
        }
    }

    /// T04.
    @Test func `that is dropped is rolled back and reported with the place where it was made`() async throws {
        try await withShop { shop in
            func forget() async throws {
                let session = shop.engine.makeSession()
                try await add(1, to: session)
            }
            try await forget()
            try await eventually("the connection is home") { shop.engine.statistics.idle == 1 }
            #expect(try await shop.itemCount() == 0)
            #expect(shop.observer.dropped.count == 1)
            #expect(shop.observer.dropped.first?.contains("SessionTests.swift") == true)
            try await shop.engine.withTransaction { session in try await add(2, to: session) }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `runs what is due after its end in order, once, when the connection is home`() async throws {
        try await withShop { shop in
            let journal = Journal<String>()
            let engine = shop.engine
            try await engine.withSession { session in
                try await add(1, to: session)
                session.afterCommit { journal.append("committed, \(engine.statistics.leased) leased") }
                session.afterCommit { journal.append("then") }
                session.afterRollback { journal.append("never") }
                try await session.commit()
                try await add(2, to: session)
                session.afterCommit { journal.append("never") }
                session.afterRollback { journal.append("rolled back, \(engine.statistics.leased) leased") }
                session.afterRollback { journal.append("then") }
                try await session.rollback()
            }
            #expect(journal.all == ["committed, 0 leased", "then", "rolled back, 0 leased", "then"])
        }
    }

    @Test func `runs what is due after its end also where a scope ends it`() async throws {
        try await withShop { shop in
            let journal = Journal<String>()
            func work(_ name: String, fails: Bool) async throws {
                try await shop.engine.withTransaction { session in
                    session.afterCommit { journal.append("\(name) committed") }
                    session.afterRollback { journal.append("\(name) rolled back") }
                    try await add(1, to: session)
                    if fails { throw OutOfStock() }
                }
            }
            _ = await outcome { try await work("first", fails: true) }
            try await work("second", fails: false)
            _ = await outcome { try await work("third", fails: false) }
            #expect(journal.all == ["first rolled back", "second committed", "third rolled back"])
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A transaction's end` {
    /// K12 M13.
    @Test func `by hand inside its scope lets nothing follow`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                try await add(1, to: session)
                try await session.commit()
                let late = await outcome { try await add(2, to: session) }
                #expect(late == .invalidState)
            }
            try await shop.engine.withTransaction { session in
                try await add(3, to: session)
                try await session.rollback()
                let late = await outcome { try await add(4, to: session) }
                #expect(late == .invalidState)
            }
            #expect(try await shop.itemCount() == 1)
        }
    }

    /// The same rule as after one that has succeeded.
    @Test(arguments: [false, true], [false, true])
    func `by hand that the server refuses lets nothing follow in its scope either`(
        rides: Bool, inSavepoint: Bool
    ) async throws {
        try await withShop { shop in
            try await shop.witness.execute(
                "CREATE TABLE parts (item int8 REFERENCES items DEFERRABLE INITIALLY DEFERRED)")
            func commit(_ session: Session) async throws {
                let broken: SQLQuery = "INSERT INTO parts VALUES (\(404))"
                try await add(1, to: session)
                let refused = await outcome {
                    if rides {
                        try await session.commit(with: broken)
                    } else {
                        try await session.execute(broken)
                        try await session.commit()
                    }
                }
                #expect(refused == .server(.foreignKeyViolation))
                let late = await outcome { try await add(2, to: session) }
                #expect(late == .invalidState)
            }
            try await shop.engine.withSession { session in
                if inSavepoint {
                    try await session.withSavepoint { session in try await commit(session) }
                } else {
                    try await session.withTransaction { session in try await commit(session) }
                }
                try await add(3, to: session)
                try await session.commit()
            }
            #expect(try await shop.witness.query("SELECT id FROM items", as: Int.self).all() == [3])
        }
    }

    /// M16 P229 P230.
    @Test func `closes the session that a scope has handed out`() async throws {
        try await withShop { shop in
            var smuggled: Session?
            try await shop.engine.withTransaction { session in
                try await add(1, to: session)
                nonisolated(unsafe) let handle = session
                smuggled = handle
            }
            let session = try #require(smuggled)
            let late = await outcome { try await add(2, to: session) }
            #expect(late == .sessionClosed)
            #expect(try await shop.itemCount() == 1)
        }
    }

    /// K20 K182.
    @Test func `is an error where a deferred constraint is broken`() async throws {
        try await withShop { shop in
            try await shop.witness.execute(
                "CREATE TABLE parts (item int8 REFERENCES items DEFERRABLE INITIALLY DEFERRED)")
            let told = Journal<String>()
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO parts VALUES (\(404))")
                }
            }
            #expect((error as? ServerError)?.sqlState == .foreignKeyViolation)
            #expect((error as? ServerError)?.constraint == "parts_item_fkey")
            let withStatement = await outcome {
                try await shop.engine.withSession { session in
                    session.afterCommit { told.append("committed") }
                    session.afterRollback { told.append("rolled back") }
                    try await session.commit(with: "INSERT INTO parts VALUES (\(405))")
                }
            }
            #expect(withStatement == .server(.foreignKeyViolation))
            #expect(told.all == ["rolled back"])
            #expect(try await shop.witness.query("SELECT count(*) FROM parts", as: Int.self).one() == 0)
        }
    }

    @Test func `with a last statement that is refused commits nothing`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                try await add(1, to: session)
                let refused = await outcome { try await session.commit(with: "INSERT INTO items VALUES (1, 'twice')") }
                #expect(refused == .server(.uniqueViolation))
                let late = await outcome { try await session.commit() }
                #expect(late == .transactionAborted)
                try await session.rollback()
                try await session.commit(with: "INSERT INTO items VALUES (2, 'alone')")
            }
            #expect(try await shop.names() == ["alone"])
        }
    }
}

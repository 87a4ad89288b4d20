import PostgresSessions
import PostgresSessionsTesting
import Testing

private func add(_ name: String, to session: Session) async throws {
    try await session.execute("INSERT INTO items SELECT count(*), \(name) FROM items")
}

private func sellOut(_ session: Session) async throws {
    try await add("sold out", to: session)
    throw OutOfStock()
}

@Suite(.timeLimit(.minutes(30))) struct `A savepoint` {
    /// L01 L02 L08 L13.
    @Test func `that is rolled back to leaves the work around it`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                try await add("before", to: session)
                let ending = await outcome {
                    try await session.withSavepoint { session in try await sellOut(session) }
                }
                #expect(ending == .other("OutOfStock(id: 7)"))
                try await add("after", to: session)
            }
            #expect(try await shop.names() == ["before", "after"])
        }
    }

    /// L08 K186.
    @Test func `heals a refused statement`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                try await add("before", to: session)
                let ending = await outcome {
                    try await session.withSavepoint { session in
                        try await add("inside", to: session)
                        try await session.execute("SELECT 1 / 0")
                    }
                }
                #expect(ending == .server(.divisionByZero))
                #expect(session.transactionStatus == .active)
                try await add("after", to: session)
            }
            #expect(try await shop.names() == ["before", "after"])
        }
    }

    @Test func `whose only statement is refused leaves the transaction usable`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                for _ in 1...3 {
                    let ending = await outcome {
                        try await session.withSavepoint { session in try await session.execute("SELECT 1 / 0") }
                    }
                    #expect(ending == .server(.divisionByZero))
                }
                try await add("after", to: session)
            }
            #expect(try await shop.names() == ["after"])
        }
    }

    @Test func `does not hide a failure that its body swallows`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                try await add("before", to: session)
                let ending = await outcome {
                    try await session.withSavepoint { session in
                        try await add("inside", to: session)
                        _ = await outcome { try await session.execute("SELECT 1 / 0") }
                    }
                }
                #expect(ending == .transactionAborted)
                try await add("after", to: session)
            }
            #expect(try await shop.names() == ["before", "after"])
        }
    }

    /// L04 L05 L06.
    @Test func `nests to any depth, each level undone by itself`() async throws {
        try await withShop { shop in
            func descend(_ depth: Int, _ session: Session) async throws {
                try await add("down \(depth)", to: session)
                guard depth > 0 else { return }
                _ = await outcome {
                    try await session.withSavepoint { session in
                        try await descend(depth - 1, session)
                        if depth == 3 { throw OutOfStock() }
                    }
                }
                try await add("up \(depth)", to: session)
            }
            try await shop.engine.withTransaction { session in try await descend(5, session) }
            #expect(try await shop.names() == ["down 5", "down 4", "down 3", "up 3", "up 4", "up 5"])
        }
    }

    /// L09.
    @Test func `begins a transaction where none is open`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                try await session.withSavepoint { session in try await add("inside", to: session) }
                #expect(session.isInTransaction)
                #expect(try await shop.itemCount() == 0)
                try await session.commit()
            }
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test func `leaves its handle closed behind`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                var smuggled: Session?
                try await session.withSavepoint { session in
                    nonisolated(unsafe) let handle = session
                    smuggled = handle
                }
                let inner = try #require(smuggled)
                let late = await outcome { try await add("late", to: inner) }
                #expect(late == .sessionClosed)
                try await add("outer", to: session)
            }
            #expect(try await shop.names() == ["outer"])
        }
    }

    /// K12 M12.
    @Test func `inside which the whole transaction is committed lets nothing follow before its end`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                try await session.withSavepoint { session in
                    try await add("inside", to: session)
                    try await session.commit()
                    let late = await outcome { try await add("late", to: session) }
                    #expect(late == .invalidState)
                }
                try await add("next", to: session)
                try await session.commit()
            }
            #expect(try await shop.names() == ["inside", "next"])
        }
    }

    /// L10. What the body says behind it cannot be undone alone, so it does not stay.
    @Test(arguments: ["COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"], [false, true])
    func `that a text has ended leaves nothing of what a body that throws said after it`(
        text: String, fails: Bool
    ) async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                let ending = await outcome {
                    try await session.withSavepoint { session in
                        try await add("before", to: session)
                        try await session.execute(SQLQuery(unsafeRaw: text))
                        try await add("after", to: session)
                        if fails { try await session.execute("SELECT 1 / 0") }
                        throw OutOfStock()
                    }
                }
                #expect(ending == (fails ? .server(.divisionByZero) : .other("OutOfStock(id: 7)")))
                #expect(session.transactionStatus == .invalidated)
                #expect(await outcome { try await session.commit() } == .transactionAborted)
                try await session.rollback()
                try await add("next", to: session)
                try await session.commit()
            }
            #expect(try await shop.names() == (text.hasPrefix("COMMIT") ? ["before", "next"] : ["next"]))
        }
    }

    @Test func `that is empty and unsent is rolled back without a word`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                try await add("before", to: session)
                for _ in 1...2 {
                    _ = await outcome { try await session.withSavepoint { _ in throw OutOfStock() } }
                }
                _ = await outcome {
                    try await session.withSavepoint { session in
                        try await session.withSavepoint { session in try await add("inner", to: session) }
                        throw OutOfStock()
                    }
                }
                try await add("after", to: session)
            }
            #expect(try await shop.names() == ["before", "after"])
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A nested transaction` {
    @Test func `is a savepoint in the outer one`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                try await add("outer", to: session)
                try await session.withTransaction { session in try await add("kept", to: session) }
                _ = await outcome {
                    try await session.withTransaction { session in try await sellOut(session) }
                }
                #expect(try await shop.itemCount() == 0)
            }
            #expect(try await shop.names() == ["outer", "kept"])
        }
    }

    @Test func `goes down with the outer one`() async throws {
        try await withShop { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.withTransaction { session in try await add("inner", to: session) }
                    throw OutOfStock()
                }
            }
            #expect(ending == .other("OutOfStock(id: 7)"))
            let count = try await shop.itemCount()
            #expect(count == 0)
        }
    }

    @Test func `in a session without one is committed at its end`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                try await session.withTransaction { session in try await add("first", to: session) }
                #expect(!session.isInTransaction)
                #expect(try await shop.names() == ["first"])
                _ = await outcome {
                    try await session.withTransaction { session in try await sellOut(session) }
                }
                #expect(!session.isInTransaction)
                try await session.withTransaction { session in try await add("second", to: session) }
            }
            #expect(try await shop.names() == ["first", "second"])
        }
    }
}

import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct `A session in two hands` {
    /// Q04 P228.
    @Test func `refuses the second while the first is in, and sends nothing`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                nonisolated(unsafe) let smuggled = session
                let first = try await shop.whileLocked {
                    let first = Task(executorPreference: testExecutor) {
                        await outcome { try await smuggled.execute(shop.lockedStatement) }
                    }
                    try await shop.untilWaiting()
                    let second = await outcome { try await session.execute("INSERT INTO items VALUES (1, 'second')") }
                    #expect(second == .invalidState)
                    let commit = await outcome { try await session.commit() }
                    #expect(commit == .invalidState)
                    let rollback = await outcome { try await session.rollback() }
                    #expect(rollback == .invalidState)
                    let scope = await outcome { try await session.withSavepoint { _ in } }
                    #expect(scope == .invalidState)
                    return first
                }
                #expect(await first.value == .returned)
                try await session.execute("INSERT INTO items VALUES (2, 'alone again')")
            }
            #expect(try await shop.names() == ["alone again"])
        }
    }

    @Test func `is closed when the one who took it beyond its scope has left, cancelled`() async throws {
        try await withShop { shop in
            try await shop.whileLocked {
                let endings = Journal<Outcome>()
                _ = await outcome {
                    try await shop.engine.withSession { session in
                        nonisolated(unsafe) let smuggled = session
                        Task(executorPreference: testExecutor) {
                            endings.append(await outcome { try await smuggled.execute(shop.lockedStatement) })
                        }
                        try await shop.untilWaiting()
                    }
                }
                try await eventually("his statement has ended") { !endings.all.isEmpty }
                #expect(endings.all == [.sessionClosed])
            }
            try await eventually("the connection is home") { shop.engine.statistics.leased == 0 }
            try await shop.engine.execute("SELECT 1")
        }
    }

    /// P228.
    @Test func `never mixes up its answers when many tasks fight for it`() async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                nonisolated(unsafe) let smuggled = session
                let wrong = await withTaskGroup(of: Int.self) { group in
                    for task in 0..<8 {
                        group.addTask {
                            var wrong = 0
                            for turn in 0..<50 {
                                let number = task * 1000 + turn
                                let answer = try? await smuggled.query("SELECT \(number)", as: Int.self).one()
                                if let answer, answer != number { wrong += 1 }
                            }
                            return wrong
                        }
                    }
                    return await group.reduce(0, +)
                }
                #expect(wrong == 0)
                let alone = try await session.query("SELECT 42", as: Int.self).one()
                #expect(alone == 42)
            }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A raw connection` {
    /// S12.
    @Test func `commits each statement by itself`() async throws {
        try await withShop { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("INSERT INTO items VALUES (1, 'item')")
                #expect(try await shop.itemCount() == 1)
                let refused = await outcome { try await connection.execute("SELECT 1 / 0") }
                #expect(refused == .server(.divisionByZero))
                try await connection.execute("INSERT INTO items VALUES (2, 'item')")
            }
            #expect(try await shop.itemCount() == 2)
        }
    }

    /// S17.
    @Test func `runs what cannot run in a transaction`() async throws {
        try await withShop { shop in
            let database = "database_\(shop.number)"
            try await shop.engine.withConnection { connection in
                try await connection.execute("CREATE DATABASE \(identifier: database)")
                try await connection.execute("VACUUM items")
                try await connection.execute("DROP DATABASE \(identifier: database)")
            }
        }
    }

    /// G110 R04.
    @Test func `is rolled back before the next borrower where its scope leaves a transaction open`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                _ = try await connection.execute("INSERT INTO items VALUES (1, 'item')")
            }
            let inTransaction: SQLQuery = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
            #expect(try await shop.engine.query(inTransaction, as: Bool.self).one() == false)
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                _ = await outcome { try await connection.execute("SELECT 1 / 0") }
            }
            #expect(try await shop.engine.query("SELECT 1", as: Int.self).one() == 1)
            #expect(try await shop.itemCount() == 0)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// P229 P230.
    @Test func `is not usable beyond its scope`() async throws {
        try await withShop { shop in
            var smuggled: Connection?
            try await shop.engine.withConnection { connection in
                try await connection.execute("SELECT 1")
                nonisolated(unsafe) let handle = connection
                smuggled = handle
            }
            let connection = try #require(smuggled)
            let late = await outcome { try await connection.execute("SELECT 1") }
            #expect(late == .invalidState)
        }
    }
}

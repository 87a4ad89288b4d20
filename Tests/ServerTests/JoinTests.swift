import PostgresSessions
import PostgresSessionsTesting
import Testing

// The cases are those of SQLAlchemy's join_transaction_mode, P01 to P13.

private enum Outer: CaseIterable { case none, transaction, savepoint }
private enum Act: CaseIterable { case commit, rollback, leave }
private enum End: String, CaseIterable { case commit = "COMMIT", rollback = "ROLLBACK" }

/// Which rows are there when somebody opened a transaction, lent its connection to a session, and ended it.
private struct Join: CustomStringConvertible {
    var mode: JoinTransactionMode
    var outer: Outer
    var act: Act
    var end: End
    var description: String { "\(mode), outer \(outer), session \(act), then \(end)" }

    static func all(_ mode: JoinTransactionMode) -> [Join] {
        Outer.allCases.flatMap { outer in
            Act.allCases.flatMap { act in
                End.allCases.map { Join(mode: mode, outer: outer, act: act, end: $0) }
            }
        }
    }

    /// P01 to P06, as a table of rules.
    var expected: [String] {
        let isSavepointMode = mode == .createSavepoint || mode == .conditionalSavepoint && outer == .savepoint
        let keepsSession = act == .commit || act == .leave && !isSavepointMode && mode != .controlFully
        let endsOuter = act == .rollback && !isSavepointMode || mode == .controlFully
        switch outer {
        case .none: return act == .commit ? ["session", "after"] : ["after"]
        case .transaction where endsOuter: return keepsSession ? ["outer", "session", "after"] : ["after"]
        case .savepoint where endsOuter && !keepsSession: return end == .commit ? ["outer", "after"] : []
        case .transaction, .savepoint:
            guard end == .commit else { return [] }
            let inner = outer == .savepoint ? ["inner"] : []
            return ["outer"] + inner + (keepsSession ? ["session"] : []) + ["after"]
        }
    }

    func run(in shop: Shop) async throws -> [String] {
        try await shop.witness.execute("DELETE FROM items")
        try await shop.engine.withConnection { connection in
            if outer != .none {
                try await connection.execute("BEGIN")
                try await connection.execute("INSERT INTO items VALUES (1, 'outer')")
            }
            if outer == .savepoint {
                try await connection.execute("SAVEPOINT inside")
                try await connection.execute("INSERT INTO items VALUES (2, 'inner')")
            }
            try await connection.withSession(joinTransactionMode: mode) { session in
                try await session.execute("INSERT INTO items VALUES (3, 'session')")
                switch act {
                case .commit: try await session.commit()
                case .rollback: try await session.rollback()
                case .leave: break
                }
            }
            try await connection.execute("INSERT INTO items VALUES (4, 'after')")
            let isOpen: SQLQuery = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
            if try await connection.query(isOpen, as: Bool.self).one() {
                try await connection.execute("\(unsafeRaw: end.rawValue)")
            }
        }
        return try await shop.names()
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A session on a lent connection` {
    /// P01, P02, P04, P05, P06, P09, P12
    @Test(arguments: JoinTransactionMode.allCases)
    func `stands to the transaction that is open as its mode says`(mode: JoinTransactionMode) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            for join in Join.all(mode) {
                let names = try await join.run(in: shop)
                #expect(names == join.expected, "\(join)")
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test(arguments: JoinTransactionMode.allCases)
    func `does with its last statement's commit what its commit does`(mode: JoinTransactionMode) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                try await connection.execute("INSERT INTO items VALUES (1, 'outer')")
                try await connection.withSession(joinTransactionMode: mode) { session in
                    try await session.commit(with: "INSERT INTO items VALUES (2, 'session')")
                    #expect(!session.isInTransaction)
                }
                let isOpen = try await shop.itemCount() == 0
                #expect(isOpen == (mode != .controlFully))
                if isOpen { try await connection.execute("COMMIT") }
            }
            #expect(try await shop.names() == ["outer", "session"])
        }
    }

    /// P10, P13: a test that keeps nothing of what the code under test commits.
    @Test func `commits and rolls back as often as it likes, and nothing of it stays`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                let counts = try await connection.withSession { session in
                    var counts: [Int] = []
                    func count() async throws { counts.append(try await session.query(ShopItem.self).count()) }
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    try await count()
                    try await session.rollback()
                    try await count()
                    try await session.execute("INSERT INTO items VALUES (2, 'item')")
                    try await session.commit()
                    try await count()
                    try await session.execute("INSERT INTO items VALUES (3, 'item')")
                    try await count()
                    try await session.rollback()
                    try await count()
                    return counts
                }
                #expect(counts == [1, 0, 1, 2, 1])
                try await connection.execute("ROLLBACK")
            }
            #expect(try await shop.itemCount() == 0)
        }
    }

    @Test(arguments: JoinTransactionMode.allCases)
    func `hands an error of its body through, and its work ends as at a close`(mode: JoinTransactionMode) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                await #expect(throws: OutOfStock(id: 3)) {
                    try await connection.withSession(joinTransactionMode: mode) { session in
                        try await session.execute("INSERT INTO items VALUES (1, 'item')")
                        throw OutOfStock(id: 3)
                    }
                }
                if mode != .controlFully { try await connection.execute("COMMIT") }
            }
            let isLeft = mode == .rollbackOnly || mode == .conditionalSavepoint
            #expect(try await shop.itemCount() == (isLeft ? 1 : 0))
        }
    }

    /// K22. In the modes that say nothing at a commit, too.
    @Test(arguments: JoinTransactionMode.allCases)
    func `commits nothing for a task that is cancelled before`(mode: JoinTransactionMode) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let told = Journal<String>()
            try await Task {
                try await shop.engine.withConnection { connection in
                    try await connection.execute("BEGIN")
                    try await connection.withSession(joinTransactionMode: mode) { session in
                        session.afterCommit { told.append("committed") }
                        try await session.execute("INSERT INTO items VALUES (1, 'item')")
                        withUnsafeCurrentTask { $0?.cancel() }
                        #expect(await outcome { try await session.commit() } == .cancelled)
                    }
                }
            }.value
            #expect(told.all == [])
        }
    }

    @Test(arguments: JoinTransactionMode.allCases)
    func `whose connection is lost runs what is due after a rollback`(mode: JoinTransactionMode) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let told = Journal<String>()
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                try await connection.withSession(joinTransactionMode: mode) { session in
                    session.afterRollback { told.append("rolled back") }
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    try await shop.terminateBackends()
                    #expect(await outcome { try await session.execute("SELECT 1") } == .connectionLost)
                }
            }
            #expect(told.all == ["rolled back"])
        }
    }

    @Test func `that fails in its savepoint leaves the outer transaction usable`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                try await connection.execute("INSERT INTO items VALUES (1, 'outer')")
                let ending = await outcome {
                    try await connection.withSession { session in
                        try await session.execute("INSERT INTO items VALUES (1, 'twice')")
                    }
                }
                #expect(ending == .server(.uniqueViolation))
                try await connection.execute("INSERT INTO items VALUES (2, 'outer too')")
                try await connection.execute("COMMIT")
            }
            #expect(try await shop.names() == ["outer", "outer too"])
        }
    }

    @Test func `nests its own savepoints and transactions in the outer one`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                for mode in JoinTransactionMode.allCases where mode != .controlFully {
                    try await connection.execute("DELETE FROM items")
                    try await connection.withSession(joinTransactionMode: mode) { session in
                        try await session.withTransaction { session in
                            try await session.execute("INSERT INTO items VALUES (1, 'kept')")
                            await #expect(throws: OutOfStock.self) {
                                try await session.withSavepoint { session in
                                    try await session.execute("INSERT INTO items VALUES (2, 'undone')")
                                    throw OutOfStock()
                                }
                            }
                            try await session.withSavepoint { session in
                                _ = try await session.execute("INSERT INTO items VALUES (3, 'kept too')")
                            }
                        }
                    }
                    let names = try await connection.query("SELECT name FROM items ORDER BY id", as: String.self).all()
                    #expect(names == ["kept", "kept too"], "\(mode)")
                }
                try await connection.execute("COMMIT")
            }
            #expect(try await shop.names() == ["kept", "kept too"])
        }
    }
}

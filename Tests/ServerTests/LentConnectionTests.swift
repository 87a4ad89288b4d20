import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct `A connection that is lent to a session` {
    @Test func `is not usable meanwhile, and is its holder's afterwards`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                let held = Unchecked(connection)
                try await connection.withSession { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    #expect(await outcome { try await held.value.execute("COMMIT") } == .invalidState)
                    try await session.commit()
                }
                try await connection.execute("VACUUM items")
            }
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test func `in a failed transaction says so, and can be rolled back where the mode allows`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                for mode in JoinTransactionMode.allCases {
                    try await connection.execute("BEGIN")
                    #expect(await outcome { try await connection.execute("SELECT 1/0") } != .returned)
                    try await connection.withSession(joinTransactionMode: mode) { session in
                        let refused = await outcome { try await session.execute("SELECT 1") }
                        #expect(refused == .transactionAborted)
                        try await session.rollback()
                    }
                    if mode == .createSavepoint {
                        #expect(await outcome { try await connection.execute("SELECT 1") } != .returned)
                        try await connection.execute("ROLLBACK")
                    }
                    #expect(await outcome { try await connection.execute("VACUUM items") } == .returned, "\(mode)")
                }
            }
        }
    }

    @Test(arguments: ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"], JoinTransactionMode.allCases)
    func `has in the session's hands the transaction that a text has begun there`(
        text: String, mode: JoinTransactionMode
    ) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                try await connection.execute("SAVEPOINT mark")
                try await connection.withSession(joinTransactionMode: mode) { session in
                    for id in [1, 3] {
                        try await session.execute("INSERT INTO items VALUES (\(id), 'before')")
                        try await session.execute(SQLQuery(unsafeRaw: text))
                        try await session.execute("INSERT INTO items VALUES (\(id + 1), 'behind')")
                        try await session.commit()
                    }
                    try await session.execute(SQLQuery(unsafeRaw: text))
                    try await session.execute("INSERT INTO items VALUES (5, 'left')")
                }
                try await connection.execute("INSERT INTO items VALUES (6, 'after')")
            }
            let isCommitted = text.hasPrefix("COMMIT")
            let names =
                isCommitted ? ["before", "behind", "before", "behind", "after"] : ["behind", "behind", "after"]
            #expect(try await shop.names() == names)
        }
    }

    @Test func `gives its transaction no characteristics that it cannot have any more`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                try await connection.withSession { session in
                    try await session.begin(isolationLevel: .serializable)  // M21
                    #expect(await outcome { try await session.execute("SELECT 1") } == .invalidState)
                }
                try await connection.execute("ROLLBACK")
                let options = SessionOptions(isolationLevel: .serializable)
                let level = try await connection.withSession(options: options) { session in
                    try await session.query("SHOW transaction_isolation", as: String.self).one()
                }
                #expect(level == "serializable")
            }
        }
    }

    /// The session's own end, or its text's.
    @Test(arguments: [false, true])
    func `has no savepoint any more that the session has ended`(byText: Bool) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                if byText { try await connection.execute("SAVEPOINT outermost") }
                try await connection.execute("SAVEPOINT mine")
                try await connection.withSession(joinTransactionMode: .controlFully) { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    if byText { try await session.execute("COMMIT") } else { try await session.commit() }
                }
                if byText { try await connection.execute("BEGIN") }
                try await connection.withSession(joinTransactionMode: .controlFully) { session in
                    try await session.execute("INSERT INTO items VALUES (2, 'item')")
                    try await session.commit()
                }
                let count = try await shop.itemCount()
                #expect(count == 2)
            }
        }
    }

    @Test func `keeps no cursor, timeout or savepoint of the session`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                for mode in [JoinTransactionMode.createSavepoint, .rollbackOnly] {
                    try await connection.withSession(joinTransactionMode: mode) { session in
                        let numbers = session.query("SELECT generate_series(1, 1000)", as: Int.self)
                        for try await number in numbers.stream() where number == 3 { break }
                        _ = try await session.withTimeout(.seconds(60)) { session in
                            try await session.execute("SELECT 1")
                        }
                        try await session.commit()
                    }
                    let cursors: SQLQuery = "SELECT count(*) FROM pg_cursors WHERE name LIKE 'session%'"
                    #expect(try await connection.query(cursors, as: Int.self).one() == 0)
                    #expect(try await connection.query("SHOW statement_timeout", as: String.self).one() == "0")
                }
                try await connection.execute("COMMIT")
            }
        }
    }

    @Test func `and is lost in its hands is lost for both, and no COMMIT is in doubt`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                try await connection.execute("BEGIN")
                try await connection.withSession { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    try await shop.terminateBackends()
                    #expect(await outcome { try await session.commit() } == .connectionLost)
                    #expect(await outcome { try await session.execute("SELECT 1") } == .connectionLost)
                }
                #expect(await outcome { try await connection.execute("SELECT 1") } == .connectionLost)
            }
            #expect(try await shop.itemCount() == 0)
        }
    }

    @Test func `by an observer's connect hook is refused`() async throws {
        let ending = Journal<Outcome>()
        try await withShop { shop in
            let observer = ConnectHook { connection in
                ending.append(await outcome { try await connection.withSession { try await $0.execute("SELECT 1") } })
            }
            let engine = try Engine(Engine.Configuration(url: shop.url, observers: [observer]))
            try await engine.ping()
            await engine.shutdown()
        }
        #expect(ending.all == [.invalidState])
    }

    @Test func `in a sandbox keeps the sandbox, whatever the mode`() async throws {
        try await withShop { shop in
            try await shop.engine.withSandbox { engine in
                for (id, mode) in JoinTransactionMode.allCases.enumerated() {
                    try await engine.withConnection { connection in
                        try await connection.withSession(joinTransactionMode: mode) { session in
                            try await session.execute("INSERT INTO items VALUES (\(id), 'item')")
                            try await session.commit()
                        }
                    }
                }
                #expect(try await engine.query("SELECT count(*) FROM items", as: Int.self).one() == 4)
            }
            #expect(try await shop.itemCount() == 0)
        }
    }
}

/// Takes a value where the compiler would not let it.
private struct Unchecked<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

private struct ConnectHook: EngineObserver {
    let body: @Sendable (sending Connection) async -> Void
    func onConnect(_ connection: sending Connection) async throws { await body(connection) }
}

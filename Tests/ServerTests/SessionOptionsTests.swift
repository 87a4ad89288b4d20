import PostgresSessions
import PostgresSessionsTesting
import Testing

/// What the server says of the transaction it is in.
private struct Settings: Decodable, Equatable {
    var isolation = "read committed"
    var readOnly = "off"
    var deferrable = "off"
    var statement = "0"
    var lock = "0"
    var idle = "0"
    var tenant: String? = ""

    static let query: SQLQuery = """
        SELECT current_setting('transaction_isolation') AS isolation,
            current_setting('transaction_read_only') AS read_only,
            current_setting('transaction_deferrable') AS deferrable,
            current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
            current_setting('idle_in_transaction_session_timeout') AS idle,
            coalesce(current_setting('app.tenant', true), '') AS tenant
        """
}

private func settings(_ session: Session) async throws -> Settings {
    try await session.query(Settings.query, as: Settings.self).one()
}

private let one = PoolOptions(size: 1, maxOverflow: 0)

@Suite(.timeLimit(.minutes(30))) struct `Options of a transaction` {
    /// S16 M20.
    @Test func `are in force in it and gone after it`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withTransaction(
                isolationLevel: .serializable, accessMode: .readOnly, deferrable: true
            ) {
                session in
                let now = try await settings(session)
                #expect(now == Settings(isolation: "serializable", readOnly: "on", deferrable: "on"))
                let write = await outcome { try await session.execute("INSERT INTO items VALUES (1, 'item')") }
                #expect(write == .server(.readOnlySqlTransaction))
                try await session.rollback()
            }
            try await shop.engine.withTransaction { session in
                let now = try await settings(session)
                #expect(now == Settings())
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// S05.
    @Test(arguments: IsolationLevel.allCases)
    func `give it every isolation level`(level: IsolationLevel) async throws {
        try await withShop(one) { shop in
            let now = try await shop.engine.withTransaction(isolationLevel: level) { session in
                try await settings(session)
            }
            #expect(now.isolation == level.rawValue.lowercased())
        }
    }

    @Test func `by hand hold for one transaction of the session`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.begin(isolationLevel: .repeatableRead, accessMode: .readOnly)
                let first = try await settings(session)
                #expect(first == Settings(isolation: "repeatable read", readOnly: "on"))
                try await session.commit()
                let second = try await settings(session)
                #expect(second == Settings())
            }
        }
    }

    /// K24 M26.
    @Test func `of a session hold for all of its transactions, over those of the engine`() async throws {
        let ofEngine = SessionOptions(
            isolationLevel: .repeatableRead, statementTimeout: .seconds(20), lockTimeout: .seconds(21),
            idleInTransactionTimeout: .seconds(22), locals: ["app.tenant": "engine"])
        try await withShop(one, session: ofEngine) { shop in
            let common = Settings(
                isolation: "repeatable read", statement: "20s", lock: "21s", idle: "22s", tenant: "engine")
            let plain = try await shop.engine.withTransaction { session in try await settings(session) }
            #expect(plain == common)
            let own = SessionOptions(
                accessMode: .readOnly, statementTimeout: .milliseconds(1500), locals: ["app.tenant": "7"])
            try await shop.engine.withSession(options: own) { session in
                for _ in 1...2 {
                    var expected = common
                    (expected.readOnly, expected.statement, expected.tenant) = ("on", "1500ms", "7")
                    let now = try await settings(session)
                    #expect(now == expected)
                    try await session.commit()
                }
            }
            let again = try await shop.engine.withTransaction { session in try await settings(session) }
            #expect(again == common)
            let autocommit = try await shop.engine.query(Settings.query, as: Settings.self).one()
            #expect(autocommit.tenant == "engine")
            #expect(autocommit.statement == "20s")
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// K192.
    @Test func `are gone for the next borrower of the connection`() async throws {
        try await withShop(one) { shop in
            let options = SessionOptions(statementTimeout: .seconds(5), locals: ["app.tenant": "7"])
            for fails in [false, true] {
                _ = await outcome {
                    try await shop.engine.withTransaction(options: options) { session in
                        #expect(try await settings(session).tenant == "7")
                        if fails { throw OutOfStock() }
                    }
                }
                let next = try await shop.engine.withTransaction { session in try await settings(session) }
                #expect(next == Settings())
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `may hold any text, for none of it is read as SQL`() async throws {
        try await withShop(one) { shop in
            let tenant = "'); DROP TABLE items; --"
            try await shop.engine.withTransaction(options: SessionOptions(locals: ["app.tenant": tenant])) { session in
                let now = try await settings(session)
                #expect(now.tenant == tenant)
            }
            #expect(try await shop.itemCount() == 0)
        }
    }

    @Test func `that the server refuses are the first statement's error`() async throws {
        try await withShop(one) { shop in
            let options = SessionOptions(locals: ["no such setting": "7"])
            let ending = await outcome {
                try await shop.engine.withTransaction(options: options) { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                }
            }
            #expect(ending == .server(.undefinedObject))
            let count = try await shop.itemCount()
            #expect(count == 0)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `Options of an engine` {
    @Test func `hold for statements without a session, and for raw connections`() async throws {
        let options = SessionOptions(isolationLevel: .repeatableRead, accessMode: .readOnly)
        try await withShop(one, session: options) { shop in
            let autocommit = try await shop.engine.query(Settings.query, as: Settings.self).one()
            #expect(autocommit == Settings(isolation: "repeatable read", readOnly: "on"))
            let write: SQLQuery = "INSERT INTO items VALUES (1, 'item')"
            #expect(await outcome { try await shop.engine.execute(write) } == .server(.readOnlySqlTransaction))
            let raw = await outcome { try await shop.engine.withConnection { try await $0.execute(write) } }
            #expect(raw == .server(.readOnlySqlTransaction))
            try await shop.engine.withTransaction(isolationLevel: .serializable, accessMode: .readWrite) { session in
                try await session.execute(write)
                let now = try await settings(session)
                #expect(now == Settings(isolation: "serializable"))
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `are refused where a timeout is negative`() async throws {
        for options in [
            SessionOptions(statementTimeout: .seconds(-1)), SessionOptions(lockTimeout: .seconds(-1)),
            SessionOptions(idleInTransactionTimeout: .seconds(-1)),
        ] {
            let ending = await outcome { try Engine(Engine.Configuration(url: "postgresql://", session: options)) }
            #expect(ending == .invalidConfiguration)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A timeout` {
    @Test func `of a session that is negative is refused before anything is sent`() async throws {
        try await withShop(one) { shop in
            for options in [SessionOptions(statementTimeout: .seconds(-1)), SessionOptions(lockTimeout: .seconds(-1))] {
                let ending = await outcome {
                    try await shop.engine.withTransaction(options: options) { try await $0.execute("SELECT 1") }
                }
                #expect(ending == .invalidConfiguration)
            }
            #expect(shop.engine.statistics.opened == 0)
        }
    }

    @Test func `of zero is no limit, over the engine's too`() async throws {
        try await withShop(one, session: SessionOptions(statementTimeout: .milliseconds(200))) { shop in
            try await shop.engine.withSession(options: SessionOptions(statementTimeout: .zero)) { session in
                _ = try await session.execute("SELECT pg_sleep(0.9)")
            }
        }
    }

    @Test func `of the statement ends it and says so`() async throws {
        try await withShop(one, session: SessionOptions(statementTimeout: .milliseconds(500))) { shop in
            let autocommit = await outcome { try await shop.engine.execute("SELECT pg_sleep(60)") }
            #expect(autocommit == .statementTimedOut)
            try await shop.engine.withSession { session in
                let ending = await outcome { try await session.execute("SELECT pg_sleep(60)") }
                #expect(ending == .statementTimedOut)
                try await session.rollback()
                try await session.execute("SELECT 1")
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `of a lock is the server's error and costs no connection`() async throws {
        try await withShop(one, session: SessionOptions(lockTimeout: .milliseconds(50))) { shop in
            let ending = try await shop.whileLocked {
                await outcome {
                    try await shop.engine.withTransaction { session in try await session.execute(shop.lockedStatement) }
                }
            }
            #expect(ending == .server(.lockNotAvailable))
            try await shop.engine.execute("SELECT 1")
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `of an idle transaction costs the connection, and the session says so`() async throws {
        let options = SessionOptions(idleInTransactionTimeout: .milliseconds(50))
        try await withShop(one) { shop in
            try await shop.engine.withSession(options: options) { session in
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                try await eventually("the server has ended it") { try await shop.backends().isEmpty }
                let next = await outcome { try await session.execute("SELECT 1") }
                #expect(next == .connectionLost)
                #expect(session.transactionStatus == .invalidated)
                try await session.rollback()
                try await session.execute("SELECT 1")
            }
            #expect(try await shop.itemCount() == 0)
        }
    }
}

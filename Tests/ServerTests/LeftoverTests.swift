import PostgresSessions
import PostgresSessionsTesting
import Testing

/// A connect hook that makes what every borrower is to find.
private struct Furnisher: EngineObserver {
    func onConnect(_ connection: sending Connection) async throws {
        try await connection.execute("SET search_path = hooked")
        try await connection.execute("CREATE TEMPORARY TABLE furniture (id int8)")
        try await connection.execute("LISTEN hooked")
        try await connection.execute("SELECT pg_advisory_lock_shared(4711)")
    }
}

@Suite(.timeLimit(.minutes(30))) struct `What a borrower leaves behind in its connection` {
    private static let settings = [
        "SET work_mem = '1MB'", "/* route='/a' */ SET work_mem = '1MB'", "-- why\nSET work_mem = '1MB'",
        "SET/* /* nested */ */work_mem = '1MB'", "SELECT set_config ('work_mem', '1MB', false)",
        "UPDATE pg_settings SET setting = '1MB' WHERE name = 'work_mem'", "; SET work_mem = '1MB'",
        "DO $$ BEGIN EXECUTE 'SET work' || '_mem = ''1MB'''; END $$",
    ]
    private static let others = [
        "/* a */ LISTEN a", "SELECT pg_advisory_lock\n(5)", "(SELECT pg_try_advisory_lock_shared(6))",
        "CREATE\nTEMP TABLE q (x int)", "/* a */ CREATE TEMPORARY TABLE q (x int)", "CREATE TABLE pg_temp.q (x int)",
        "SELECT 1 AS x INTO\tTEMP q", "/* a */ PREPARE q AS SELECT 1",
        "-- a\nDECLARE q CURSOR\nWITH\tHOLD FOR SELECT 1", "DECLARE \"for\" CURSOR WITH HOLD FOR SELECT 1",
        "EXPLAIN ANALYZE CREATE TEMP TABLE q AS SELECT 1",
    ]
    /// Everything at once, in one line.
    private static let state: SQLQuery = """
        SELECT concat_ws(' ', current_setting('work_mem'), (SELECT count(*) FROM pg_listening_channels()),
            (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
            (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
            (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),
            (SELECT count(*) FROM pg_cursors WHERE is_holdable))
        """

    @Test(arguments: settings + others) func `is gone for the next one`(statement: String) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let before = try await shop.engine.query(Self.state, as: String.self).one()
            try await shop.engine.withConnection { connection in
                _ = try await connection.execute("\(unsafeRaw: statement)")
                #expect(try await connection.query(Self.state, as: String.self).one() != before)
            }
            #expect(try await shop.engine.query(Self.state, as: String.self).one() == before)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `is gone for the next one, also where it was done by a COPY`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let before = try await shop.engine.query(Self.state, as: String.self).one()
            try await shop.engine.withConnection { connection in
                let rows = try await connection.copyOut("SELECT pg_try_advisory_lock(7)", as: Bool.self)
                for try await isLocked in rows { #expect(isLocked) }
                #expect(try await connection.query(Self.state, as: String.self).one() != before)
            }
            #expect(try await shop.engine.query(Self.state, as: String.self).one() == before)
        }
    }

    @Test func `is undone once, and costs those who come later nothing`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0), behindProxy: true) { shop in
            try await shop.engine.execute("SET work_mem = '1MB'")
            try await shop.engine.execute("SELECT 1")
            let flights = try await flights(of: 3, by: shop.engine, through: shop.proxy)
            #expect(flights == 3)
        }
    }

    @Test func `is not what the connect hooks have made: nobody cleans up behind them`() async throws {
        try await withShop(behindProxy: true) { shop in
            let pool = PoolOptions(size: 1, maxOverflow: 0)
            let engine = try Engine(Engine.Configuration(url: shop.proxy.url, pool: pool, observers: [Furnisher()]))
            try await engine.warmUp()
            let flights = try await flights(of: 3, by: engine, through: shop.proxy)
            #expect(flights == 3)
            await engine.shutdown()
        }
    }

    private func flights(of statements: Int, by engine: Engine, through proxy: FaultProxy) async throws -> Int {
        let before = proxy.flights
        for _ in 0..<statements { try await engine.execute("SELECT 1") }
        try await eventually("the connection is home") { engine.statistics.idle == 1 }
        return proxy.flights - before
    }

    @Test(arguments: [
        "RESET search_path", "RESET ALL", "DISCARD ALL", "DISCARD TEMP", "DROP TABLE furniture", "UNLISTEN *",
        "SELECT pg_advisory_unlock_all()", "DO $$ BEGIN RESET search_path; END $$",
    ])
    func `is made up for, where it lacks what the connect hooks have made`(statement: String) async throws {
        try await withShop { shop in
            let pool = PoolOptions(size: 1, maxOverflow: 0)
            let engine = try Engine(Engine.Configuration(url: shop.url, pool: pool, observers: [Furnisher()]))
            let state = try await engine.query(Self.state, as: String.self).one()
            try await engine.withConnection { _ = try await $0.execute("\(unsafeRaw: statement)") }
            #expect(try await engine.query("SHOW search_path", as: String.self).one() == "hooked")
            #expect(try await engine.query(Self.state, as: String.self).one() == state)
            #expect(engine.statistics.opened == 1)
            await engine.shutdown()
        }
    }

    @Test(arguments: [PoolOptions.ResetOnReturn.rollback, .discardAll])
    func `never takes away what the connect hooks have made`(reset: PoolOptions.ResetOnReturn) async throws {
        try await withShop { shop in
            let pool = PoolOptions(size: 1, maxOverflow: 0, resetOnReturn: reset)
            let engine = try Engine(Engine.Configuration(url: shop.url, pool: pool, observers: [Furnisher()]))
            for statement in ["SELECT 1", "SET work_mem = '1MB'", "CREATE TEMP TABLE q (x int)", "LISTEN a"] {
                try await engine.withTransaction { _ = try await $0.execute("\(unsafeRaw: statement)") }
                let path = try await engine.query("SHOW search_path", as: String.self).one()
                #expect(path == "hooked", "after \(statement)")
                #expect(try await engine.query("SELECT count(*) FROM furniture", as: Int.self).one() == 0)
                #expect(try await engine.query("SHOW work_mem", as: String.self).one() != "1MB")
            }
            #expect(engine.statistics.opened == 1)
            await engine.shutdown()
        }
    }
}

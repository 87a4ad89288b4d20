import PostgresSessions
import PostgresSessionsTesting
import Synchronization
import Testing

/// The one server that the suites of a test process share. It ends with the process.
enum SharedServer {
    private static let server = Task { try await TemporaryPostgres.start(settings: ["max_connections": "200"]) }
    private static let shops = Atomic<Int>(0)

    static func get() async throws -> TemporaryPostgres { try await server.value }
    static func nextShopNumber() -> Int { shops.add(1, ordering: .relaxed).newValue }
}

/// A row of a shop's items.
struct ShopItem: Codable, Equatable, Table {
    static let tableName = "items"
    var id: Int
    var name: String
}

/// A schema of one's own with a table of items, an engine on it that is being tested, and one that watches.
struct Shop: Sendable {
    /// The engine that is being tested.
    let engine: Engine
    /// An engine of the same schema with connections of its own, straight to the server.
    let witness: Engine
    /// What stands between the tested engine and its server, if anything does.
    let link: FaultProxy?
    let observer: RecordingObserver
    let number: Int
    /// Leads to the schema, past the proxy.
    let url: String

    var proxy: FaultProxy { get throws { try #require(link) } }
    /// Under this name the tested engine's connections stand in `pg_stat_activity`.
    var name: String { "shop_\(number)" }

    // MARK: What the server sees

    func itemCount() async throws -> Int { try await witness.query("SELECT count(*) FROM items", as: Int.self).one() }

    func names() async throws -> [String] {
        try await witness.query("SELECT name FROM items ORDER BY id", as: String.self).all()
    }

    func names(id: Int) async throws -> [String] {
        try await witness.query("SELECT name FROM items WHERE id = \(id)", as: String.self).all()
    }

    /// The tested engine's connections, as the server counts them.
    func backends() async throws -> [Int] {
        try await witness.query("SELECT pid FROM pg_stat_activity WHERE application_name = \(name)", as: Int.self).all()
    }

    /// Ends every connection of the tested engine, as an administrator would, and waits until they are gone.
    func terminateBackends() async throws {
        let doomed = try await backends()
        try await witness.execute("SELECT pg_terminate_backend(pid) FROM unnest(\(doomed)::int8[]::int4[]) AS pid")
        try await eventually("the backends are gone") { try await Set(backends()).isDisjoint(with: doomed) }
    }

    // MARK: Statements that wait

    /// Waits, inside the server, for as long as `whileLocked` runs.
    var lockedStatement: SQLQuery { "SELECT pg_advisory_xact_lock(\(number))" }

    /// Runs the body while every `lockedStatement` waits.
    func whileLocked<R>(_ body: () async throws -> R) async throws -> R {
        try await witness.withTransaction { holder in
            try await holder.execute(lockedStatement)
            return try await body()
        }
    }

    /// From now on the COMMIT of whoever has inserted items waits while `whileLocked` runs.
    func makeCommitsWait() async throws {
        try await witness.execute(
            """
            CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock(\(unsafeRaw: String(number))); RETURN NULL; END $$
            """)
        try await witness.execute(
            """
            CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION linger()
            """)
    }

    /// Until so many of the tested engine's statements wait for a lock.
    func untilWaiting(_ count: Int = 1) async throws {
        try await eventually("\(count) statements wait for a lock") {
            let query: SQLQuery = """
                SELECT count(*) FROM pg_stat_activity WHERE application_name = \(name) AND wait_event_type = 'Lock'
                """
            return try await witness.query(query, as: Int.self).one() == count
        }
    }
}

/// Opens a shop, and checks at its end that the pool is whole and that the server has got every connection back.
func withShop<R>(
    _ pool: PoolOptions = PoolOptions(size: 4, maxOverflow: 0), session: SessionOptions = SessionOptions(),
    statementCacheSize: Int = 256, behindProxy: Bool = false, server: TemporaryPostgres? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (Shop) async throws -> R
) async throws -> R {
    try await inTurn {
        let shop = try await openShop(pool, session, statementCacheSize, behindProxy, server)
        do {
            let result = try await withTaskExecutorPreference(testExecutor) { try await body(shop) }
            try await checkWhole(shop, sourceLocation)
            await close(shop)
            return result
        } catch {
            await close(shop)
            throw error
        }
    }
}

private func checkWhole(_ shop: Shop, _ sourceLocation: SourceLocation) async throws {
    try await eventually("the pool is whole: \(shop.engine.statistics)", sourceLocation) {
        let now = shop.engine.statistics
        return now.leased == 0 && now.waiting == 0
    }
    shop.link?.resume()
    await shop.engine.shutdown(grace: .seconds(5))
    try await eventually("the server has every connection back", sourceLocation) { try await shop.backends().isEmpty }
}

private func openShop(
    _ pool: PoolOptions, _ session: SessionOptions, _ statementCacheSize: Int, _ behindProxy: Bool,
    _ ownServer: TemporaryPostgres?
) async throws -> Shop {
    let number = SharedServer.nextShopNumber()
    let server = if let ownServer { ownServer } else { try await SharedServer.get() }
    func url(_ application: String) -> String {
        server.url(parameters: ["application_name": application, "options": "-c search_path=shop_\(number)"])
    }
    let witnesses = PoolOptions(size: 3, maxOverflow: 5)
    let witness = try Engine(Engine.Configuration(url: url("witness_\(number)"), pool: witnesses))
    let schema = "shop_\(number)"
    try await witness.execute("CREATE SCHEMA \(identifier: schema)")
    try await witness.execute(
        "CREATE TABLE items (id int8 PRIMARY KEY, name text NOT NULL, price float8 NOT NULL DEFAULT 1)")
    let link = behindProxy ? try await FaultProxy.start(to: url(schema)) : nil
    let observer = RecordingObserver()
    var pool = pool
    // Where no test means this deadline, a machine that stands still must not be what lets it pass.
    if pool.connectTimeout == PoolOptions().connectTimeout { pool.connectTimeout = .seconds(60) }
    let configuration = Engine.Configuration(
        url: link?.url ?? url(schema), pool: pool, session: session, statementCacheSize: statementCacheSize,
        observers: [observer])
    return Shop(
        engine: try Engine(configuration), witness: witness, link: link, observer: observer, number: number,
        url: url(schema))
}

private func close(_ shop: Shop) async {
    shop.link?.resume()
    await shop.engine.shutdown(grace: .seconds(1))
    await shop.witness.shutdown(grace: .seconds(1))
    await shop.link?.stop()
}

/// Keeps what an engine tells its observers.
final class RecordingObserver: EngineObserver {
    private struct Events {
        var lent: [Int] = []
        var closed: [Int] = []
        var dropped: [String] = []
        var retries: [Int] = []
    }

    private let events = Mutex(Events())

    /// The processes of the connections that were lent, in order.
    var lent: [Int] { events.withLock { $0.lent } }
    var closed: [Int] { events.withLock { $0.closed } }
    /// Where the sessions were made that were dropped.
    var dropped: [String] { events.withLock { $0.dropped } }

    /// The numbers of the attempts that were made after the first.
    var retries: [Int] { events.withLock { $0.retries } }

    func didCheckOut(_ connection: ConnectionInfo) { events.withLock { $0.lent.append(connection.processID) } }
    func didClose(_ connection: ConnectionInfo) { events.withLock { $0.closed.append(connection.processID) } }
    func didDropSession(origin: String) { events.withLock { $0.dropped.append(origin) } }
    func willRetry(attempt: Int, after error: any Error, origin: String) {
        events.withLock { $0.retries.append(attempt) }
    }
}

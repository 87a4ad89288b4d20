// Long because it is the whole public interface as one program: every name and every shape that users may rely on.
// It is compiled, never run. Each function names the promise that its compiling holds.

import Foundation
import PostgresSessions
import PostgresSessionsTesting

#if canImport(ServiceLifecycle)
    import ServiceLifecycle
#endif

// MARK: - What a client has around it: no annotation says anything about isolation

struct Item: Codable, Table {
    static let tableName = "items"
    var id: Int
    var name: String
    var price: Double
}
struct Order: Sendable { var id: Int, total: Double }
struct Summary: Decodable { var total: Double?; var names: [String] }
struct OutOfStock: Error {}
final class Report { var lines: [String] = [] }  // not Sendable, on purpose
enum App { static let engine = try! Engine(url: "postgresql://localhost/shop") }  // an engine may be a singleton

func load(_ session: Session) async throws -> [Item] { try await session.query(Item.self).all() }
func raise(_ session: Session, by factor: Double) async throws {
    try await session.execute("UPDATE items SET price = price * \(factor)")
}
func vacuum(_ connection: Connection) async throws { try await connection.execute("VACUUM items") }

// MARK: - Engine

func anEngineIsBuiltFromAURLAConfigurationOrTheEnvironment(url: String, size: Int, token: String) throws -> [Engine] {
    let configuration = Engine.Configuration(
        url: url,
        pool: PoolOptions(
            size: 5, maxOverflow: 10,
            checkoutTimeout: .seconds(30), maxWaiters: nil,
            prePing: .automatic,
            maxLifetime: .seconds(1800), lifetimeJitter: 0.1, idleTimeout: .seconds(600), minimumIdle: 0,
            order: .lifo, resetOnReturn: .rollback,
            connectTimeout: .seconds(10), leakDetectionThreshold: nil),
        session: SessionOptions(
            isolationLevel: nil, accessMode: nil, statementTimeout: nil, lockTimeout: nil,
            idleInTransactionTimeout: nil, locals: [:]),
        statementCacheSize: 256,
        credentials: nil)
    let other = Engine.Configuration(
        url: url,
        pool: PoolOptions(size: size, maxOverflow: .unlimited, prePing: .automatic(idleLongerThan: .milliseconds(200))),
        session: SessionOptions(
            isolationLevel: .serializable, accessMode: .readOnly, statementTimeout: .seconds(2),
            lockTimeout: .milliseconds(500), idleInTransactionTimeout: .seconds(60), locals: ["app.tenant": "7"]),
        statementCacheSize: 0,
        credentials: { Credentials(user: "app", password: token) })
    _ = PoolOptions(size: size, maxOverflow: size + 1, prePing: .always, order: .fifo, resetOnReturn: .discardAll)
    _ = PoolOptions(
        maxOverflow: 0, maxWaiters: 100, prePing: .never, resetOnReturn: .none, leakDetectionThreshold: .seconds(30))
    return [
        try Engine(url: "postgresql://app@db.internal/shop?sslmode=verify-full"),
        try Engine(configuration), try Engine(other),
        try Engine(environment: ProcessInfo.processInfo.environment),
    ]
}

func anEngineTellsItsState(engine: Engine) -> String {
    let now = engine.statistics
    let counts: [Int] = [
        now.size, now.idle, now.leased, now.connecting, now.waiting, now.opened, now.closed, now.checkouts,
        now.timeouts,
    ]
    return now.maxOverflow == 10 ? String(describing: now) : String(describing: counts)
}

func anEngineLivesAsLongAsTheApplication(engine: Engine) async throws {
    try await engine.warmUp()
    try await engine.ping()
    engine.invalidate()
    await engine.shutdown(grace: .seconds(10))
    await engine.shutdown()
    #if canImport(ServiceLifecycle)
        let service: any Service = engine
        try await service.run()
    #endif
}

func tasksMayPreferTheEnginesExecutor(engine: Engine) async throws -> Int {
    try await withTaskExecutorPreference(engine.executor) {
        try await engine.query("SELECT 1", as: Int.self).one()
    }
}

// MARK: - Sessions: scopes

func aSessionScopeCommitsByHand(engine: Engine, id: Int, price: Double) async throws -> Int {
    try await engine.withSession { session in
        let changed = try await session.execute("UPDATE items SET price = \(price) WHERE id = \(id)").rowsAffected
        try await session.commit()
        return changed
    }
}

func aTransactionScopeTakesItsOptionsAndReturnsAnything(engine: Engine) async throws -> (Double, Report) {
    let total = try await engine.withTransaction(
        isolationLevel: .serializable, accessMode: .readWrite, deferrable: false, retry: .onConflict(maxAttempts: 5)
    ) { session in try await session.query("SELECT sum(price) FROM items", as: Double.self).one() }
    let report = try await engine.withTransaction { session in
        let report = Report()
        for item in try await load(session) { report.lines.append(item.name) }
        return report
    }
    report.lines.append("sum \(total)")
    return (total, report)
}

func aSessionTakesItsOwnOptions(engine: Engine) async throws {
    let options = SessionOptions(accessMode: .readOnly, locals: ["app.tenant": "7"])
    _ = try await engine.withSession(options: options) { session in try await load(session) }
    let session = engine.makeSession(options: options)
    await session.close()
}

/// Plain helper functions take the session from the body of every scope, before, inside and after nested ones.
func helpersAreOrdinaryFunctions(engine: Engine) async throws {
    var seen = 0
    try await engine.withSession { session in
        try await raise(session, by: 2)
        seen += try await session.withSavepoint { session in
            try await raise(session, by: 2)
            return try await session.withTransaction { session in
                try await raise(session, by: 2)
                return try await load(session).count
            }
        }
        try await session.withAdvisoryLock(42) { session in try await raise(session, by: 2) }
        try await session.withTimeout(.seconds(2)) { session in try await raise(session, by: 2) }
        for item in try await load(session) { seen += item.id }
        for try await item in session.query(Item.self).stream() { seen += item.id }
        try await raise(session, by: 2)
        try await session.commit()
    }
    try await engine.withConnection { connection in
        try await vacuum(connection)
        try await vacuum(connection)
    }
}

/// Bodies use the state of the actor that opened the scope, in nested scopes and streams too.
actor Shop {
    let engine: Engine
    var sold = 0
    init(engine: Engine) { self.engine = engine }

    func count(_ n: Int) { sold += n }
    func sell(_ item: Item, in session: Session) async throws {
        try await session.execute("DELETE FROM items WHERE id = \(item.id)")
        sold += 1
    }
    func sellEverything() async throws {
        try await engine.withTransaction { session in
            let items = try await load(session)
            sold += items.count
            session.afterCommit { await self.count(items.count) }
            try await raise(session, by: 2)
            for item in items { try await sell(item, in: session) }
            try await session.withSavepoint { session in
                sold += 1
                try await raise(session, by: 2)
            }
            for try await item in session.query(Item.self).stream() { sold += item.id }
            try await session.execute("UPDATE items SET price = 0")
        }
    }
}

@MainActor final class Dashboard {
    var items: [Item] = []
    func refresh(engine: Engine) async throws {
        try await engine.withSession { session in
            items = try await load(session)
            for try await item in session.query(Item.self).stream() { items.append(item) }
            items += try await load(session)
            items += try await session.withSavepoint { session in try await load(session) }
        }
    }
}
// The one thing that a client without NonisolatedNonsendingByDefault cannot write (the compiler takes the outer session
// for the actor's): in a body isolated to an actor, hand the outer session to a nonisolated async helper *after* a nested
// scope whose body is isolated too. The session's own methods, the actor's methods, and helpers inside the scope are fine.

func manyRequestsEachHaveASession(engine: Engine) async throws -> Int {
    try await withThrowingTaskGroup(of: Int.self) { group in
        for id in 0..<100 {
            group.addTask {
                try await engine.withTransaction { session in
                    let items = try await load(session)
                    guard items.contains(where: { $0.id == id }) else { throw OutOfStock() }
                    return items.count
                }
            }
        }
        return try await group.reduce(0, +)
    }
}

// MARK: - Sessions: by hand

func aManualSessionHasEveryVerb(engine: Engine) async throws {
    let session = engine.makeSession()
    try await session.begin(isolationLevel: .repeatableRead)
    try await session.withSavepoint { session in try await raise(session, by: 1) }
    try await session.withTransaction { session in try await raise(session, by: 1) }
    let last: CommandResult = try await session.commit(with: "UPDATE items SET price = \(1.5)")
    print(last.tag, last.rowsAffected)
    try await session.begin()
    try await session.rollback()
    if session.isInTransaction { print("still open") }
    switch session.transactionStatus {
    case .idle, .active, .invalidated: break
    case .failed(let state): print(state == .serializationFailure)
    default: break
    }
    session.afterCommit { print("committed") }
    session.afterRollback { print("rolled back") }
    try await session.commit()
    try await session.prepare(as: "order-7")
    await session.close()

    try await engine.commitPrepared("order-7")
    try await engine.rollbackPrepared("order-8")
    for prepared in try await engine.preparedTransactions() { print(prepared.gid) }
}

// MARK: - Statements

func textAndBindingsAreOneValue(session: Session, table: String, userID: UUID, tags: [String]) async throws {
    let q: SQLQuery = "SELECT * FROM \(identifier: table) WHERE owner = \(userID) AND tag = ANY(\(tags))"
    try await session.execute(q)
    try await session.execute("SELECT \(unsafeRaw: "now()"), \(String?.none), \(Optional(7))")
    try await session.execute(
        "SELECT \(true), \(Int16(1)), \(Int32(1)), \(Int64(1)), \(1), \(Float(1)), \(1.0), \("text")")
    try await session.execute(
        "SELECT \(Date.now), \(UUID()), \([UInt8]([1, 2])), \(Data([1, 2])), \([1, 2]), \([1, nil])")
    try await session.execute("SELECT \(Decimal(string: "1.5")), \([Date.now]), \([UUID()]), \([true]), \([1.5])")
}

func rowsComeAsTablesStructsTuplesAndScalars(session: Session) async throws {
    let all: [Item] = try await session.query(Item.self).all()
    let some: [Item] = try await session.query(Item.self).where("price < \(10)").order(by: "name").limit(20).offset(20)
        .all()
    let seven: Item? = try await session.get(Item.self, id: 7)
    let locked: Item? = try await session.query(Item.self).where("id = \(7)").forUpdate(skipLocked: true).first()
    let count: Int = try await session.query(Item.self).count()
    let any: Bool = try await session.query(Item.self).where("price > \(1.5)").exists()

    let items: [Item] = try await session.query("SELECT id, name, price FROM items", as: Item.self).all()
    let summary: Summary = try await session.query(
        "SELECT sum(price) AS total, array_agg(name) AS names FROM items", as: Summary.self
    ).one()
    let pair: (Int, String)? = try await session.query("SELECT id, name FROM items", as: (Int, String).self).first()
    let triple: (Int, String?, [Int]) = try await session.query("SELECT 1, NULL, '{1}'", as: (Int, String?, [Int]).self)
        .one()
    let number: Int = try await session.query("SELECT count(*) FROM items", as: Int.self).one()
    let maybe: Int?? = try await session.query("SELECT NULL", as: Int?.self).first()
    let bytes: [UInt8]? = try await session.query("SELECT ''::bytea", as: [UInt8].self).oneOrNil()
    let moment: Date = try await session.query("SELECT now()", as: Date.self).one()
    let numbers: [Int?] = try await session.query("SELECT '{1,NULL}'::int8[]", as: [Int?].self).one()
    print(all, some, seven as Any, locked as Any, count, any, items, summary, pair as Any, triple, number, maybe as Any)
    print(bytes as Any, moment, numbers)
}

func rowsStream(session: Session, q: SQLQuery) async throws {
    for try await item in session.query(q, as: Item.self).stream() where item.price > 1 { break }
    for try await (id, name) in session.query(q, as: (Int, String).self).stream() { print(id, name) }
    for try await number in session.query(q, as: Int.self).stream() { print(number + 1) }
    for try await item in session.query(Item.self).where("price < \(10)").stream() { print(item.name) }
}

func rowsAreWritten(session: Session, item: Item) async throws {
    let stored: Item = try await session.insert(item)
    let merged: Item = try await session.upsert(item)
    try await session.update(stored)
    try await session.delete(merged)
}

func severalStatementsShareAFlight(session: Session, orders: [Order]) async throws {
    let (items, counts) = try await session.pipeline(
        session.query(Item.self), session.query("SELECT count(*) FROM items", as: Int.self))
    let first: Item? = items.first
    let total: Int = counts[0]
    let (one, two, three) = try await session.pipeline(
        session.query("SELECT 1", as: Int.self), session.query("SELECT 'a'", as: String.self),
        session.query("SELECT 1, 'a'", as: (Int, String).self))
    let results: [CommandResult] = try await session.execute(
        batch: orders.map { "INSERT INTO orders VALUES (\($0.id), \($0.total))" })
    print(first as Any, total, one[0] + 1, two[0].count, three[0].1, results.map(\.rowsAffected))
}

func rowsAreCopied(session: Session, orders: [Order]) async throws -> Int {
    let source = AsyncStream<(Int, String)> { $0.finish() }
    var written = try await session.copyIn("items", columns: ["id", "name"], rows: [(1, "a"), (2, "b")])
    written += try await session.copyIn(
        "orders", columns: ["id", "total"], rows: orders.lazy.map { ($0.id, $0.total) })
    written += try await session.copyIn("items", columns: ["id", "name"], rows: source)
    written += try await session.copyIn("items", columns: ["id"], rows: orders.map { $0.id + 1 })
    for try await item in try await session.copyOut("SELECT * FROM items", as: Item.self) { written += item.id }
    for try await (id, _) in try await session.copyOut("SELECT id, name FROM items", as: (Int, String).self) {
        written += id
    }
    return written
}

func notificationsArrive(engine: Engine) async throws {
    for try await n in engine.listen(on: "orders") {
        if n.isGap { continue }
        print(n.payload)
        break
    }
}

// MARK: - Shortcuts and raw connections

func anEngineRunsSingleStatements(engine: Engine) async throws {
    let created: CommandResult = try await engine.execute("CREATE TABLE IF NOT EXISTS items (id int8)")
    let items: [Item] = try await engine.query("SELECT * FROM items", as: Item.self).all()
    async let a = engine.query("SELECT 1", as: Int.self).one()
    async let b = engine.query("SELECT 1, 'a'", as: (Int, String).self).one()
    print(created.tag, items.count, try await a, try await b)
}

func aConnectionIsAutocommit(engine: Engine) async throws -> Int {
    try await engine.withConnection { connection in
        try await connection.execute("CREATE DATABASE shop")
        _ = try await connection.query("SELECT * FROM items", as: Item.self).all()
        _ = try await connection.copyIn("items", columns: ["id", "name"], rows: [(1, "a")])
        for try await item in try await connection.copyOut("SELECT * FROM items", as: Item.self) { print(item) }
        return try await connection.query("SELECT pg_backend_pid()", as: Int.self).one()
    }
}

// MARK: - Errors

func errorsAreTypedAndSayWhatFailed(engine: Engine) async throws {
    do {
        try await engine.withTransaction { session in try await raise(session, by: 2) }
    } catch let error as ServerError where error.sqlState == .uniqueViolation || error.sqlState == "23514" {
        print(error.severity, error.message, error.detail as Any, error.hint as Any, error.constraint ?? "")
        print(error.table ?? "", error.column ?? "", error.position as Any, error.query ?? "")
    } catch EngineError.checkoutTimedOut(let then) {
        print(then.leased, then.waiting)
    } catch EngineError.connectFailed(let cause) {
        print(cause)
    } catch let error as EngineError {
        switch error {
        case .tooManyWaiters, .connectionLost, .commitOutcomeUnknown, .transactionAborted: throw error
        case .statementTimedOut, .sessionClosed, .invalidState, .decoding, .shutDown: throw error
        default: print(error)
        }
    } catch is CancellationError {
        print("cancelled, on the server too")
    }
}

// MARK: - Tests

func testsHaveServersSandboxesAndFaults(engine: Engine) async throws {
    let server = try await TemporaryPostgres.start()
    let proxy = try await FaultProxy.start(to: server.url)
    let behind = try Engine(url: proxy.url)
    proxy.latency = .milliseconds(5)
    proxy.stall()
    proxy.resume()
    proxy.cut()
    proxy.refuse()
    proxy.accept()
    let before = proxy.flights
    let names = try await behind.withSandbox { engine in
        try await engine.withTransaction { session in try await load(session).map(\.name) }
    }
    print(names, proxy.flights - before)
    await behind.shutdown()
    await proxy.stop()
    await server.stop()
}

// MARK: - Hummingbird

#if canImport(PostgresSessionsHummingbird)
    import Hummingbird
    import PostgresSessionsHummingbird

    extension Item: ResponseEncodable {}
    struct AppContext: DatabaseRequestContext {
        var coreContext: CoreRequestContextStorage
        var database = DatabaseSessionStorage()
        init(source: Source) { coreContext = .init(source: source) }
    }
    func aRequestHasASession(engine: Engine) -> some ApplicationProtocol {
        let router = Router(context: AppContext.self)
        router.add(middleware: DatabaseSessionMiddleware(engine))
        router.get("items") { request, context in try await context.session.query(Item.self).all() }
        router.put("items") { request, context in
            let session = try context.session
            try await raise(session, by: 2)
            try await session.withSavepoint { session in try await raise(session, by: 2) }
            return try await load(session)
        }
        return Application(router: router, services: [engine])
    }
#endif

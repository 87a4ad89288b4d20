import PostgresSessions
import Synchronization
import Testing

/// A condition that did not come true.
struct Unmet: Error, CustomStringConvertible { let description: String }

/// Waits until the condition holds: soon, as a rule, and at the latest when a loaded machine would have got there too.
func eventually(
    _ what: @autoclosure () -> String, _ location: SourceLocation = #_sourceLocation,
    within limit: Duration = .seconds(20),
    _ condition: () -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while !condition() {
        guard ContinuousClock.now < deadline else {
            throw Unmet(description: "not within \(limit): \(what()), at line \(location.line)")
        }
        // Where the test's own task is cancelled, sleeping would spin.
        await Task.detached { try? await Task.sleep(for: .milliseconds(2)) }.value
    }
}

/// The error that the body ends with; a body that returns is the test's failure.
func failure<R>(of body: () async throws -> R, _ location: SourceLocation = #_sourceLocation) async throws -> any Error
{
    do {
        _ = try await body()
    } catch {
        return error
    }
    throw Unmet(description: "the body should have thrown, at line \(location.line)")
}

extension Error {
    var isConnectionLost: Bool { if case .connectionLost? = self as? EngineError { true } else { false } }
    var isOutcomeUnknown: Bool { if case .commitOutcomeUnknown? = self as? EngineError { true } else { false } }
    /// The code with which the server refused a statement.
    var refusal: SQLState? { (self as? ServerError).map(\ServerError.sqlState) }
}

/// What several tasks write down in turn.
final class Journal<Entry: Sendable>: Sendable {
    private let entries = Mutex<[Entry]>([])
    var all: [Entry] { entries.withLock { $0 } }
    func append(_ entry: Entry) { entries.withLock { $0.append(entry) } }
    func clear() { entries.withLock { $0 = [] } }
}

/// Notes each event's name in order.
final class Diary: EngineObserver {
    let events = Journal<String>()
    let leaks = Journal<(origin: String, statement: String?)>()
    let failures = Journal<ConnectFailure>()
    let drops = Journal<String>()
    /// Run as connect hooks.
    let first: @Sendable (sending Connection) async throws -> Void
    let each: @Sendable (sending Connection) async throws -> Void
    /// What an error is to be taken for.
    let judge: @Sendable (ServerError, Bool) -> Bool

    init(
        judge: @escaping @Sendable (ServerError, Bool) -> Bool = { $1 },
        first: @escaping @Sendable (sending Connection) async throws -> Void = { _ in },
        each: @escaping @Sendable (sending Connection) async throws -> Void = { _ in }
    ) {
        (self.judge, self.first, self.each) = (judge, first, each)
    }

    func onFirstConnect(_ connection: sending Connection) async throws {
        events.append("first connect")
        try await first(connection)
    }

    func onConnect(_ connection: sending Connection) async throws {
        events.append("connect")
        try await each(connection)
    }

    func didCheckOut(_ connection: ConnectionInfo) { events.append("checkout") }
    func didCheckIn(_ connection: ConnectionInfo) { events.append("checkin") }
    func didReset(_ connection: ConnectionInfo) { events.append("reset") }
    func didInvalidate(_ connection: ConnectionInfo, reason: String) { events.append("invalidate") }
    func didClose(_ connection: ConnectionInfo) { events.append("close") }
    func didFailToConnect(_ failure: ConnectFailure) { failures.append(failure) }
    func didSuspectLeak(_ connection: ConnectionInfo, origin: String, lastStatement: String?) {
        leaks.append((origin, lastStatement))
    }
    func didDropSession(origin: String) { drops.append(origin) }
    func isDisconnect(_ error: ServerError, verdict: Bool) -> Bool { judge(error, verdict) }
}

/// One connection, no more.
let one = PoolOptions(size: 1, maxOverflow: 0, checkoutTimeout: .seconds(10))

/// An engine on the server for the length of the body. Afterwards the server must count no connection.
///
/// The URL may name more servers than this one.
func withEngine<R>(
    on server: ScriptedServer, url: String? = nil, _ pool: PoolOptions = one, statementCacheSize: Int = 256,
    observers: [any EngineObserver] = [], credentials: (@Sendable () async throws -> Credentials)? = nil,
    _ body: (Engine) async throws -> R
) async throws -> R {
    let engine = try Engine(
        Engine.Configuration(
            url: url ?? server.url, pool: pool, statementCacheSize: statementCacheSize, observers: observers,
            credentials: credentials))
    let outcome: Result<R, any Error>
    do { outcome = .success(try await withTaskExecutorPreference(testExecutor) { try await body(engine) }) } catch {
        outcome = .failure(error)
    }
    server.recover()
    await engine.shutdown(grace: .seconds(1))
    try await eventually("the server counts \(server.open) connections after the shutdown") { server.open == 0 }
    return try outcome.get()
}

/// A server and an engine with one connection that stands already.
func withWarmEngine<R>(
    _ pool: PoolOptions = one, observers: [any EngineObserver] = [],
    _ body: (ScriptedServer, Engine) async throws -> R
) async throws -> R {
    try await withServer { server in
        try await withEngine(on: server, pool, observers: observers) { engine in
            try await engine.warmUp()
            return try await body(server, engine)
        }
    }
}

extension Engine {
    /// The next caller is served, with the answer to its own question.
    func answers(_ number: Int = 7, _ location: SourceLocation = #_sourceLocation) async throws {
        #expect(try await echo(number) == number, sourceLocation: location)
    }

    /// What the server answers to `SELECT <number>`, as a whole.
    func echo(_ number: Int) async throws -> Int {
        try await query("SELECT \(unsafeRaw: "\(number)")", as: Int.self).one()
    }
}

internal import Logging
internal import PoolCore
internal import PostgresWire

/// One per application and database: the pool of connections and everything that sessions share.
///
/// ```swift
/// let engine = try Engine(url: "postgresql://app@db.internal/shop")
/// let names = try await engine.withTransaction { session in
///     try await session.query("SELECT name FROM items", as: String.self).all()
/// }
/// ```
///
/// Making one opens nothing: connections are made when somebody needs one. An engine may be a `static let`; a session
/// may not, and the compiler says so. Give it back to the operating system with ``shutdown(grace:)``.
public final class Engine: Sendable {
    /// What the engine was made with.
    public let configuration: Configuration
    let pool: ConnectionPool
    /// An autocommit statement goes out as it is: nothing before it, and no time limit.
    let isPlain: Bool

    /// An engine on any libpq connection string, with defaults for everything else. Opens nothing.
    ///
    /// - Throws: ``EngineError/invalidConfiguration(_:)`` for a string that libpq does not understand.
    public convenience init(url: String) throws {
        try self.init(Configuration(url: url))
    }

    /// An engine as configured. Opens nothing.
    ///
    /// - Throws: ``EngineError/invalidConfiguration(_:)`` naming the option that cannot mean anything.
    public init(_ configuration: Configuration) throws {
        try configuration.pool.validated()
        guard configuration.statementCacheSize >= 0 else {
            throw EngineError.invalidConfiguration("statementCacheSize must not be negative")
        }
        try configuration.session.validated()
        self.configuration = configuration
        isPlain =
            !configuration.isSandbox && configuration.session.locals.isEmpty
            && configuration.session.statementTimeout == nil && configuration.session.accessMode != .readOnly
        pool = ConnectionPool(options: configuration.pool, connector: try Connector(configuration))
    }

    /// One consistent snapshot of the pool. `String(describing:)` of it is one readable line.
    public var statistics: Statistics { pool.statistics }

    /// The event loops that watch the connections' sockets. Tasks that prefer it pay no thread hop:
    ///
    /// ```swift
    /// try await withTaskExecutorPreference(engine.executor) { try await serve() }
    /// ```
    public var executor: any TaskExecutor { EventLoops.shared }

    var logger: Logger { configuration.logger }

    /// A connection that was idle for long proves itself in its first flight: within this time, where there is any.
    @inline(__always)
    func livenessTimeout(_ lease: Lease, _ timeout: Duration) -> Duration? {
        lease.isDoubtful ? timeout : nil
    }

    /// How soon, where what was sent can be sent again on another connection.
    static var livenessTimeout: Duration { .seconds(2) }
    /// How soon, where it cannot: a false alarm would be somebody's error.
    static var longLivenessTimeout: Duration { .seconds(5) }

    /// When a checkout that begins now must have ended.
    func checkoutDeadline(_ timeout: Duration?) -> PoolInstant {
        pool.deadline(timeout, since: ConnectionPool.now)
    }
}

extension Engine: CustomStringConvertible {
    /// The pool's line of statistics; never the URL, which may hold a password.
    public var description: String { "Engine(\(statistics))" }
}

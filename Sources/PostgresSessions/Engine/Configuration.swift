public import Logging
internal import PostgresWire

extension Engine {
    /// Everything an engine can be told. The defaults are what a service wants that says nothing.
    public struct Configuration: Sendable {
        /// Any libpq URI or key=value string: several hosts, service files and the PG* environment included.
        public var url: String
        public var pool: PoolOptions
        /// Defaults for every session.
        public var session: SessionOptions
        /// Prepared statements kept per connection, least recently used first out. 0: none are kept, for poolers in
        /// transaction mode. One whose text is longer than 16 KiB is not: it would take much memory in the server, and is seldom
        /// said twice.
        public var statementCacheSize: Int
        /// Told of what happens to connections; see ``EngineObserver``.
        public var observers: [any EngineObserver]
        /// Asked at each connect; outranks user and password of the URL. A thrown error fails that connect.
        public var credentials: (@Sendable () async throws -> Credentials)?
        /// For what cannot be thrown: notices of the server, sessions dropped without `close()`, rollbacks that failed.
        public var logger: Logger
        /// Every connection lives in one transaction that is never committed; see `withSandbox` of PostgresSessionsTesting.
        package var isSandbox = false

        public init(
            url: String, pool: PoolOptions = PoolOptions(), session: SessionOptions = SessionOptions(),
            statementCacheSize: Int = 256, observers: [any EngineObserver] = [],
            credentials: (@Sendable () async throws -> Credentials)? = nil,
            logger: Logger = Logger(label: "postgres-sessions")
        ) {
            self.url = url
            self.pool = pool
            self.session = session
            self.statementCacheSize = statementCacheSize
            self.observers = observers
            self.credentials = credentials
            self.logger = logger
        }
    }
}

extension Engine.Configuration: CustomStringConvertible, CustomReflectable {
    /// Where to, as whom, and the pool's options; never the URL, which may hold a password.
    public var description: String { "Engine.Configuration(\(target), \(pool))" }

    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "target": target, "pool": pool, "session": session, "statementCacheSize": statementCacheSize,
                "observers": observers.count, "hasCredentials": credentials != nil,
            ], displayStyle: .struct)
    }

    private var target: String { (try? ConnectionParameters(parsing: url)).map { "\($0)" } ?? "a malformed URL" }
}

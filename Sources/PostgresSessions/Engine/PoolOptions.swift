/// How many connections an engine keeps, for how long, and what a checkout may cost.
///
/// The words and defaults are SQLAlchemy's `QueuePool`'s where it has them. What cannot mean anything (a negative time, a share
/// above 1) is an ``EngineError/invalidConfiguration(_:)`` when the engine is made; any time beyond a century is for ever.
public struct PoolOptions: Sendable, Hashable {
    /// Connections kept open. At least 1.
    public var size: Int
    /// How many more may be open at once under load; those close when they come back and nobody waits.
    public var maxOverflow: Overflow
    /// How long a checkout may wait for a connection before ``EngineError/checkoutTimedOut(_:)``. Zero: not at all.
    public var checkoutTimeout: Duration
    /// How many may wait at once; one more gets ``EngineError/tooManyWaiters(_:)`` at once. nil: no limit.
    public var maxWaiters: Int?
    /// How a pooled connection proves that it is alive.
    public var prePing: PrePing
    /// A connection older than this is replaced, at its return or while idle. nil: never.
    public var maxLifetime: Duration?
    /// The share of `maxLifetime`, 0 to 1, by which each connection's life is shortened at random, against herds.
    public var lifetimeJitter: Double
    /// A connection idle for longer than this is closed, down to `minimumIdle`. nil: never.
    public var idleTimeout: Duration?
    /// Idle connections kept ready in the background. 0: connections are made when somebody needs one.
    public var minimumIdle: Int
    /// Which idle connection is lent first.
    public var order: Order
    /// What is done to a connection before somebody else gets it.
    public var resetOnReturn: ResetOnReturn
    /// For each address: name resolution, TCP, TLS and authentication together. A `connect_timeout` in the URL outranks it.
    /// As long may take what is the engine's own: asking for credentials, and running connect hooks.
    public var connectTimeout: Duration
    /// A connection lent for longer than this is reported with its place of checkout. nil: never.
    public var leakDetectionThreshold: Duration?

    /// SQLAlchemy's defaults: 5 connections kept, 10 more under load, 30 seconds of patience.
    public init(
        size: Int = 5, maxOverflow: Int = 10, checkoutTimeout: Duration = .seconds(30), maxWaiters: Int? = nil,
        prePing: PrePing = .automatic, maxLifetime: Duration? = .seconds(1800), lifetimeJitter: Double = 0.1,
        idleTimeout: Duration? = .seconds(600), minimumIdle: Int = 0, order: Order = .lifo,
        resetOnReturn: ResetOnReturn = .rollback, connectTimeout: Duration = .seconds(10),
        leakDetectionThreshold: Duration? = nil
    ) {
        self.init(
            size: size, maxOverflow: Overflow(maxOverflow), checkoutTimeout: checkoutTimeout, maxWaiters: maxWaiters,
            prePing: prePing, maxLifetime: maxLifetime, lifetimeJitter: lifetimeJitter, idleTimeout: idleTimeout,
            minimumIdle: minimumIdle, order: order, resetOnReturn: resetOnReturn, connectTimeout: connectTimeout,
            leakDetectionThreshold: leakDetectionThreshold)
    }

    /// As the other initializer, for `maxOverflow: .unlimited`.
    public init(
        size: Int = 5, maxOverflow: Overflow, checkoutTimeout: Duration = .seconds(30), maxWaiters: Int? = nil,
        prePing: PrePing = .automatic, maxLifetime: Duration? = .seconds(1800), lifetimeJitter: Double = 0.1,
        idleTimeout: Duration? = .seconds(600), minimumIdle: Int = 0, order: Order = .lifo,
        resetOnReturn: ResetOnReturn = .rollback, connectTimeout: Duration = .seconds(10),
        leakDetectionThreshold: Duration? = nil
    ) {
        self.size = size
        self.maxOverflow = maxOverflow
        self.checkoutTimeout = checkoutTimeout
        self.maxWaiters = maxWaiters
        self.prePing = prePing
        self.maxLifetime = maxLifetime
        self.lifetimeJitter = lifetimeJitter
        self.idleTimeout = idleTimeout
        self.minimumIdle = minimumIdle
        self.order = order
        self.resetOnReturn = resetOnReturn
        self.connectTimeout = connectTimeout
        self.leakDetectionThreshold = leakDetectionThreshold
    }

    /// A number of connections beyond `size`, or no limit.
    public struct Overflow: Sendable, Hashable, ExpressibleByIntegerLiteral {
        /// nil: no limit.
        let limit: Int?
        /// No limit but the server's. SQLAlchemy's -1, spelled out.
        public static let unlimited = Overflow(limit: nil)

        init(limit: Int?) { self.limit = limit }
        public init(_ count: Int) { limit = count }
        public init(integerLiteral value: Int) { limit = value }
    }

    /// How a pooled connection proves that it is alive before it is used.
    public struct PrePing: Sendable, Hashable {
        enum Mode: Sendable, Hashable { case automatic(idleLongerThan: Duration), always, never }
        let mode: Mode

        /// Free: a closed socket is noticed when it happens; a connection idle for over a second proves itself in its next
        /// flight, with a short deadline. In a session's, which opens the unit of work, it is two seconds, and a dead connection is
        /// replaced unseen; in that of a statement without a session five, and ``EngineError/connectionLost(_:)``.
        public static let automatic = automatic(idleLongerThan: .seconds(1))
        /// As ``automatic``, with another threshold.
        public static func automatic(idleLongerThan threshold: Duration) -> PrePing {
            PrePing(mode: .automatic(idleLongerThan: threshold))
        }
        /// One round trip at every checkout, as SQLAlchemy's `pool_pre_ping`. Without an answer within two seconds the connection is
        /// replaced.
        public static let always = PrePing(mode: .always)
        /// No check but the socket's state.
        public static let never = PrePing(mode: .never)
    }

    public enum Order: Sendable, Hashable {
        /// The most recently used first: few connections stay warm, the rest may time out.
        case lifo
        /// The least recently used first: load spreads evenly.
        case fifo
    }

    public enum ResetOnReturn: Sendable, Hashable {
        /// An open transaction is rolled back, and what statements have left in the session (settings, roles, LISTEN, temporary
        /// tables, advisory locks, cursors, prepared statements) is undone; a clean connection costs nothing. What was left
        /// is known from the statements' words: what a function or procedure of the server's does is not seen.
        case rollback
        /// `DISCARD ALL` after each use, in the background; prepared statements go too. Connect hooks that have made
        /// settings or the like run again.
        case discardAll
        /// Nothing is sent. A connection with an open transaction is closed instead.
        case none
    }
}

extension PoolOptions {
    func validated() throws(EngineError) {
        func require(_ isTrue: Bool, _ message: String) throws(EngineError) {
            guard isTrue else { throw .invalidConfiguration(message) }
        }
        try require(size >= 1, "pool.size must be at least 1, not \(size)")
        if let limit = maxOverflow.limit {
            try require(limit >= 0, "pool.maxOverflow must not be negative, or be .unlimited: \(limit)")
        }
        try require(checkoutTimeout >= .zero, "pool.checkoutTimeout must not be negative: \(checkoutTimeout)")
        if case .automatic(let threshold) = prePing.mode {
            try require(threshold >= .zero, "pool.prePing: idleLongerThan must not be negative: \(threshold)")
        }
        try require((maxWaiters ?? 0) >= 0, "pool.maxWaiters must not be negative")
        try require((0...1).contains(lifetimeJitter), "pool.lifetimeJitter must be between 0 and 1")
        try require(minimumIdle >= 0, "pool.minimumIdle must not be negative")
        try require(minimumIdle <= size, "pool.minimumIdle (\(minimumIdle)) must not exceed pool.size (\(size))")
        try require(connectTimeout > .zero, "pool.connectTimeout must be positive")
        let positive = [
            ("maxLifetime", maxLifetime), ("idleTimeout", idleTimeout),
            ("leakDetectionThreshold", leakDetectionThreshold),
        ]
        for (name, value) in positive {
            try require(value.map { $0 > .zero } ?? true, "pool.\(name) must be positive, or nil")
        }
    }
}

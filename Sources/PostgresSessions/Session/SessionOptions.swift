/// How a transaction sees others. nil wherever one is optional: the server's default.
public enum IsolationLevel: String, Sendable, Hashable, CaseIterable {
    case readUncommitted = "READ UNCOMMITTED"
    case readCommitted = "READ COMMITTED"
    case repeatableRead = "REPEATABLE READ"
    case serializable = "SERIALIZABLE"
}

/// Whether a transaction may write.
public enum AccessMode: String, Sendable, Hashable {
    case readOnly = "READ ONLY"
    case readWrite = "READ WRITE"
}

/// Defaults for sessions. On an engine for all of them, and for its statements without a session; on a session over the
/// engine's. nil leaves the server's.
///
/// A timeout of zero is no limit; more than some 24 days, the longest that the server takes, counts as that. A negative one is an
/// ``EngineError/invalidConfiguration(_:)``: from the engine's initializer, or from the session's first statement.
public struct SessionOptions: Sendable, Hashable {
    public var isolationLevel: IsolationLevel?
    public var accessMode: AccessMode?
    /// The server ends a statement that runs longer: SQLSTATE 57014.
    public var statementTimeout: Duration?
    /// The server ends a statement that waits longer for a lock: SQLSTATE 55P03.
    public var lockTimeout: Duration?
    /// The server closes a session that sits in a transaction longer: SQLSTATE 25P03.
    public var idleInTransactionTimeout: Duration?
    /// `SET LOCAL` in each transaction, sent in its opening flight: `["app.tenant": "7"]`.
    public var locals: [String: String]
    /// Ask for the transaction's id behind its statements until it has one, so that
    /// ``EngineError/commitOutcomeUnknown(_:)`` carries it and ``Engine/outcome(of:)`` can tell what became of it. It costs the
    /// server a short statement in the same flight, and no round trip.
    public var tracksOutcome: Bool

    public init(
        isolationLevel: IsolationLevel? = nil, accessMode: AccessMode? = nil, statementTimeout: Duration? = nil,
        lockTimeout: Duration? = nil, idleInTransactionTimeout: Duration? = nil, locals: [String: String] = [:],
        tracksOutcome: Bool = false
    ) {
        self.isolationLevel = isolationLevel
        self.accessMode = accessMode
        self.statementTimeout = statementTimeout
        self.lockTimeout = lockTimeout
        self.idleInTransactionTimeout = idleInTransactionTimeout
        self.locals = locals
        self.tracksOutcome = tracksOutcome
    }

    /// These options where they say something, else the other's; locals are merged.
    func over(_ base: SessionOptions) -> SessionOptions {
        SessionOptions(
            isolationLevel: isolationLevel ?? base.isolationLevel, accessMode: accessMode ?? base.accessMode,
            statementTimeout: statementTimeout ?? base.statementTimeout, lockTimeout: lockTimeout ?? base.lockTimeout,
            idleInTransactionTimeout: idleInTransactionTimeout ?? base.idleInTransactionTimeout,
            locals: base.locals.merging(locals) { _, own in own },
            tracksOutcome: tracksOutcome || base.tracksOutcome)
    }

    var hasLocalSettings: Bool {
        !locals.isEmpty || statementTimeout != nil || lockTimeout != nil || idleInTransactionTimeout != nil
    }

    /// Everything that `SET LOCAL` can express, as settings by name.
    var localSettings: [(name: String, value: String)] {
        var settings = locals.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
        for (name, value) in timeouts { settings.append((name, value)) }
        return settings
    }

    /// The server's settings for the timeouts, in milliseconds.
    var timeouts: [(name: String, value: String)] {
        let all = [
            ("statement_timeout", statementTimeout), ("lock_timeout", lockTimeout),
            ("idle_in_transaction_session_timeout", idleInTransactionTimeout),
        ]
        return all.compactMap { name, value in value.map { (name, String($0.wholeMilliseconds)) } }
    }
}

extension SessionOptions {
    func validated() throws(EngineError) {
        let all = [
            ("statementTimeout", statementTimeout), ("lockTimeout", lockTimeout),
            ("idleInTransactionTimeout", idleInTransactionTimeout),
        ]
        for (name, value) in all where (value ?? .zero) < .zero {
            throw .invalidConfiguration("session.\(name) must not be negative")
        }
    }
}

extension Engine.Configuration {
    /// What each connection is opened with, so that it holds for statements without a session too. In a sandbox, whose
    /// transaction is everybody's, sessions cannot have characteristics of their own.
    var settings: [(name: String, value: String)] {
        guard !isSandbox else { return session.timeouts }
        var settings = session.timeouts
        if let level = session.isolationLevel {
            settings.append(("default_transaction_isolation", level.rawValue.lowercased()))
        }
        if let mode = session.accessMode {
            settings.append(("default_transaction_read_only", mode == .readOnly ? "on" : "off"))
        }
        return settings
    }
}

extension Duration {
    /// Rounded up, so that a positive duration never becomes 0, which PostgreSQL reads as "no limit"; at most as long as
    /// it takes, some 24 days.
    var wholeMilliseconds: Int64 {
        let longest = Int64(Int32.max)
        guard self < .milliseconds(longest) else { return longest }
        let (seconds, attoseconds) = components
        return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}

/// Where a session's transaction stands.
@nonexhaustive
public enum TransactionStatus: Sendable, Hashable {
    /// None is open; the next statement begins one.
    case idle
    case active
    /// A statement failed with this code; only a rollback (of the savepoint, or of all) goes on from here.
    case failed(SQLState)
    /// The connection was lost in it; nothing was committed. Roll back to go on.
    case invalidated
    /// The session was closed.
    case closed
}

/// When a transaction's body is run again.
public struct RetryPolicy: Sendable, Hashable {
    /// How often the body may run, the first time included.
    public var maxAttempts: Int
    /// The first pause is at most this; each further one at most twice the last.
    public var baseDelay: Duration

    /// The body runs once.
    public static let never = RetryPolicy(maxAttempts: 1, baseDelay: .zero)

    /// Again after a serialization failure (40001), a deadlock (40P01), at COMMIT too, a connection lost before COMMIT was
    /// sent or after it was refused, or a prepared statement that a change of its table has made useless; never after an
    /// unknown outcome, nor where the body has committed by hand. Pauses grow exponentially with full jitter. See ``EngineObserver/willRetry(attempt:after:origin:)``.
    public static func onConflict(maxAttempts: Int, baseDelay: Duration = .milliseconds(10)) -> RetryPolicy {
        RetryPolicy(maxAttempts: max(1, maxAttempts), baseDelay: baseDelay)
    }
}

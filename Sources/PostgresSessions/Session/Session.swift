internal import PostgresWire

/// One unit of work: a transaction over a borrowed connection. One per request, used by one task, never shared.
///
/// The first statement borrows a connection and begins the transaction; ``commit()`` or ``rollback()`` ends it and gives the
/// connection home; the next statement begins another one. A session is not `Sendable`: it cannot be a global, and two tasks
/// cannot use it, or the program does not compile. What the compiler cannot see (a session kept beyond its scope, or smuggled
/// into another task) is an ``EngineError``, and nothing is sent.
public final class Session {
    let core: SessionCore
    /// The scope this handle belongs to; nil for the session itself.
    let scope: Int?
    private let mustBeClosed: Bool

    @usableFromInline
    init(_ core: SessionCore, scope: Int? = nil, mustBeClosed: Bool = false) {
        self.core = core
        self.scope = scope
        self.mustBeClosed = mustBeClosed
    }

    deinit { if mustBeClosed { core.abandon() } }

    // MARK: State

    /// Whether a transaction is open, also one whose BEGIN has not been sent yet, or that has failed.
    public var isInTransaction: Bool {
        if case .none = core.transaction { return false }
        return true
    }

    public var transactionStatus: TransactionStatus {
        if core.isClosed { return .closed }
        return switch core.transaction {
        case .none: .idle
        case .pending, .active: .active
        case .failed(let state): .failed(state)
        case .lost: .invalidated
        }
    }

    // MARK: Statements

    /// One statement without rows, or whose rows do not matter: one round trip, BEGIN included.
    ///
    /// - Throws: ``ServerError`` where the server refuses it, and ``EngineError/transactionAborted(_:)`` from then on until
    ///   a rollback; `CancellationError` where the task was cancelled, after the statement was cancelled on the server.
    @discardableResult
    public func execute(_ query: SQLQuery) async throws -> CommandResult {
        CommandResult(try await core.run(query, in: scope))
    }

    var runner: StatementRunner { .session(core, scope: scope) }

    // MARK: The transaction

    /// Begins a transaction with characteristics of its own. Nothing is sent: BEGIN rides with the first statement.
    ///
    /// - Throws: ``EngineError/invalidState(_:)`` if one is open.
    public func begin(
        isolationLevel: IsolationLevel? = nil, accessMode: AccessMode? = nil, deferrable: Bool = false
    ) async throws {
        let characteristics = TransactionCharacteristics(
            isolationLevel: isolationLevel, accessMode: accessMode, deferrable: deferrable)
        try core.begin(characteristics, in: scope)
    }

    /// Commits the transaction, always the outermost, and gives the connection home. Without one, nothing is sent.
    ///
    /// Not cancellable once sent: a task that is cancelled then waits five seconds more for the answer. Where a timeout limits the
    /// statements, it is waited for so long and five seconds.
    /// - Throws: ``ServerError`` where COMMIT itself fails (a deferred constraint, a
    /// serialization failure); ``EngineError/transactionAborted(_:)`` where nothing was committed because a statement
    /// had failed; ``EngineError/connectionLost(_:)`` where the connection had ended before COMMIT was sent;
    /// ``EngineError/commitOutcomeUnknown(_:)`` where the answer never came.
    public func commit() async throws { try await core.commit(in: scope) }

    /// The last statement and COMMIT in one round trip. If the statement is refused, nothing is committed.
    @discardableResult
    public func commit(with query: SQLQuery) async throws -> CommandResult {
        CommandResult(try await core.commit(with: query, in: scope))
    }

    /// Rolls the transaction back, always the outermost, and gives the connection home. Shielded from cancellation; where
    /// ROLLBACK cannot be had within five seconds the connection is closed, and the server rolls back.
    public func rollback() async throws { try await core.rollBack(in: scope) }

    /// Ends the session for good: what is not committed is rolled back. Later use throws ``EngineError/sessionClosed``.
    public func close() async { await core.close() }

    // MARK: Scopes

    /// Runs the body in a savepoint: released when it returns, rolled back to when it throws; the transaction goes on.
    @discardableResult
    public func withSavepoint<R>(_ body: (sending Session) async throws -> R) async throws -> R {
        try await core.savepoint(in: scope, body)
    }

    /// Nested in a transaction, a savepoint; on a session without one, a transaction of its own.
    @discardableResult
    public func withTransaction<R>(_ body: (sending Session) async throws -> R) async throws -> R {
        try await core.nestedTransaction(in: scope, body)
    }

    /// Holds the advisory lock `key` while the body runs, and on until the transaction ends: whoever waits for it sees what
    /// was committed. Waiting for it costs one round trip and ends as any statement's wait.
    @discardableResult
    public func withAdvisoryLock<R>(_ key: Int64, _ body: (sending Session) async throws -> R) async throws -> R {
        _ = try await core.run("SELECT pg_advisory_xact_lock(\(key))", in: scope)
        return try await core.plainScope(in: scope, body)
    }

    /// Bounds the body's statements together, checkouts included: when the time is up, the one that runs is cancelled on
    /// the server and throws ``EngineError/statementTimedOut(_:)``; later ones throw it at once, and so does one that still waits
    /// for a connection.
    ///
    /// The server is told too (`statement_timeout`, for the transaction, in the next statement's flight), unless it has a shorter
    /// limit. That is a query, by which the transaction's snapshot is taken. After the scope the limit is what it was before.
    @discardableResult
    public func withTimeout<R>(_ timeout: Duration, _ body: (sending Session) async throws -> R) async throws -> R {
        try await core.timedScope(timeout, in: scope, body)
    }

    // MARK: Two-phase commit

    /// The first phase: PREPARE TRANSACTION. The unit of work ends here and the connection goes home; the transaction waits
    /// on the server for ``Engine/commitPrepared(_:)`` or ``Engine/rollbackPrepared(_:)``, from any session. What was
    /// registered with ``afterCommit(_:)`` and ``afterRollback(_:)`` is forgotten: neither has happened.
    ///
    /// Needs `max_prepared_transactions` above 0. - Throws: as ``commit()``.
    public func prepare(as gid: String) async throws { try await core.prepare(as: gid, in: scope) }

    // MARK: After the end

    /// Runs `action` once, in order of registration, after the transaction has been committed and the connection went home. Behind
    /// a statement `COMMIT AND CHAIN` it waits for the end of what follows, for until then the session keeps the connection.
    public func afterCommit(_ action: @escaping @Sendable () async -> Void) { core.afterCommit.append(action) }

    /// Runs `action` once, in order of registration, after the transaction has been rolled back.
    public func afterRollback(_ action: @escaping @Sendable () async -> Void) { core.afterRollback.append(action) }
}

@available(*, unavailable, message: "a session belongs to one task; make one per request")
extension Session: Sendable {}

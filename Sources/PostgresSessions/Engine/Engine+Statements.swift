internal import PoolCore
internal import PostgresWire

extension Engine {
    /// One autocommit statement on a connection of its own: one round trip.
    ///
    /// - Throws: ``ServerError`` where the server refuses it; ``EngineError/connectionLost(_:)`` where the connection ends
    ///   and the statement may have been executed. One that provably was not is sent again, unseen, and so is a query where the
    ///   engine's `accessMode` is `.readOnly`. `CancellationError` and ``EngineError/statementTimedOut(_:)`` after the statement was
    ///   cancelled on the server; where the connection ended over that, it may have been executed too.
    @discardableResult
    public func execute(
        _ query: SQLQuery, file: StaticString = #fileID, line: UInt = #line
    ) async throws -> CommandResult {
        CommandResult(try await run(query, Origin(file: file, line: line)))
    }

    func run(_ query: SQLQuery, _ origin: Origin, into rows: (any TypedRowSink)? = nil) async throws -> WireResult {
        try query.validated()
        var deadline: PoolInstant?
        var replays = ReplayBudget()
        while true {
            try Task.checkCancellation()
            let lease: Lease
            if let idle = try pool.takeIdle(origin) {
                lease = idle
            } else {
                let now = ConnectionPool.now
                let end = deadline ?? pool.deadline(nil, since: now)
                deadline = end
                guard let granted = try pool.settle(await pool.wait(since: now, until: end), origin) else { continue }
                lease = granted
            }
            let outcome: FlightOutcome
            do throws(WireError) {
                outcome = try await lease.connection.fly(autocommitFlight(query, rows, lease))
            } catch {
                pool.giveBack(lease, .broken)
                deadline = deadline ?? checkoutDeadline(nil)
                let isHarmless = error.provesNothingWasExecuted || isReadOnly
                let isUntouched = isHarmless && !lease.connection.hasCompletedAny
                let mayReplay = isUntouched && query.isOneTransaction && !Task.isCancelled
                if mayReplay && replays.take(after: error, lease) { continue }
                throw error.surfaced(hasTimeout: configuration.session.statementTimeout != nil)
            }
            if let error = outcome.failure {
                note(error, on: lease, mayWrite: configuration.session.accessMode != .readOnly)
            }
            if case .idle = lease.wire.transactionStatus {
                pool.giveBack(lease, lease.connection.outcomeWhenIdle(configuration.pool.resetOnReturn))
            } else {
                pool.giveBack(lease, await settle(lease))
            }
            if outcome.failure == nil, let result = outcome.result { return result }
            switch verdict(on: outcome, configuration.session, isShutDown: pool.isShutDown) {
            case .success(let result): return result
            case .failure(let failure):
                guard outcome.isStale, replays.takeRepair() else { throw failure }
            }
        }
    }

    /// A session of its own, which ends with the stream.
    func openCursor(_ query: SQLQuery, _ origin: Origin) async throws -> any RowCursor {
        try query.validated()
        guard query.canBeACursor else { return WholeResult(try await run(query, origin)) }
        let core = SessionCore(self, nil, nil, origin)
        do {
            return try await SessionCursor.open(query, on: core, in: nil, closesSession: true)
        } catch {
            await core.close()
            throw error
        }
    }

    /// Statements that do nothing may be executed twice.
    private var isReadOnly: Bool { configuration.session.accessMode == .readOnly }

    @inline(__always)
    private func autocommitFlight(_ query: SQLQuery, _ rows: (any TypedRowSink)?, _ lease: Lease) -> Flight {
        let liveness = livenessTimeout(lease, Self.longLivenessTimeout)
        if isPlain { return Flight(statement: query, livenessTimeout: liveness, rows: rows) }
        return limitedFlight(query, rows, liveness)
    }

    private func limitedFlight(_ query: SQLQuery, _ rows: (any TypedRowSink)?, _ liveness: Duration?) -> Flight {
        let liveness = liveness.map { isReadOnly ? min($0, Self.livenessTimeout) : $0 }
        let options = configuration.session
        let limits = FlightLimits(soft: options.clientDeadline)
        if configuration.isSandbox {
            return Flight(
                leading: ["SAVEPOINT sandbox_statement"], statement: query,
                trailing: "RELEASE SAVEPOINT sandbox_statement", limits: limits, livenessTimeout: liveness, rows: rows)
        }
        guard !options.locals.isEmpty else {
            return Flight(statement: query, limits: limits, livenessTimeout: liveness, rows: rows)
        }
        return Flight(
            leading: [SQLQuery(settingLocally: options.localSettings)], statement: query, limits: limits,
            livenessTimeout: liveness, rows: rows)
    }

    /// What a connection needs before somebody else gets it. A transaction left open by a statement's own text is rolled
    /// back here, awaited; session state is cleaned by the pool, in the background.
    func settle(_ lease: Lease) async -> LeaseOutcome {
        if configuration.isSandbox { return await settleInSandbox(lease) }
        let reset = configuration.pool.resetOnReturn
        if lease.wire.transactionStatus != .idle {
            guard reset != .none else { return .broken }
            guard await lease.connection.rollBack(within: ConnectionPool.housekeepingTimeout) else { return .broken }
            for observer in configuration.observers { observer.didReset(lease.connection.info) }
        }
        return lease.connection.outcomeWhenIdle(reset)
    }
}

extension Engine {
    /// What a refused statement says about its connection, beyond itself: a demoted primary renews the whole pool, and an
    /// observer may know an error after which the connection must not be used again.
    func note(_ error: WireServerError, on lease: Lease, mayWrite: Bool) {
        guard error.sqlState == "25006" || !configuration.observers.isEmpty else { return }
        note(ServerError(error, query: nil), on: lease, mayWrite: mayWrite)
    }

    func note(_ error: ServerError, on lease: Lease, mayWrite: Bool) {
        let isDemoted = error.sqlState == .readOnlySqlTransaction && mayWrite
        guard configuration.observers.reduce(isDemoted, { $1.isDisconnect(error, verdict: $0) }) else { return }
        if isDemoted { pool.connector.types.doubtAll() }
        pool.apply(
            isDemoted ? .invalidatedBy(lease.id.connection) : .connectionInvalidated(lease.id.connection))
    }

    /// A statement that failed in a sandbox is undone alone.
    private func settleInSandbox(_ lease: Lease) async -> LeaseOutcome {
        guard lease.wire.transactionStatus != .inTransaction else { return .clean }
        let remedy: [SQLQuery] = [
            "ROLLBACK TO SAVEPOINT sandbox_statement", "RELEASE SAVEPOINT sandbox_statement",
        ]
        return await lease.connection.run(remedy, within: ConnectionPool.housekeepingTimeout) ? .clean : .broken
    }
}

extension PhysicalConnection {
    /// Outside a transaction: whether anything else is to be cleaned.
    func outcomeWhenIdle(_ reset: PoolOptions.ResetOnReturn) -> LeaseOutcome {
        if wire.isFull() { return .spent }
        return switch reset {
        case .discardAll: .needsReset
        case .rollback: leftovers.isEmpty ? .clean : .needsReset
        case .none: .clean
        }
    }
}

/// What runs statements and answers with their results.
///
/// An enumeration and no protocol: after a call through a protocol, an async function hops back to its executor.
enum StatementRunner: Sendable {
    /// With the place in the user's code.
    case engine(Engine, Origin)
    /// A session in one of its scopes, for queries that outlive the call that made them.
    case session(SessionCore, scope: Int?)
    case connection(ConnectionCore)

    @inline(__always)
    func run(_ query: SQLQuery, into rows: (any TypedRowSink)? = nil) async throws -> WireResult {
        switch self {
        case .engine(let engine, let origin): try await engine.run(query, origin, into: rows)
        case .session(let core, let scope): try await core.run(query, in: scope, into: rows)
        case .connection(let core): try await core.run(query, into: rows)
        }
    }

    /// The rows of a statement, some at a time.
    func openCursor(_ query: SQLQuery) async throws -> any RowCursor {
        switch self {
        case .engine(let engine, let origin): try await engine.openCursor(query, origin)
        case .session(let core, let scope): try await SessionCursor.open(query, on: core, in: scope)
        case .connection(let core): try await core.openCursor(query)
        }
    }
}

/// The rows of one statement, some at a time, for one task. Whoever opens it ends it, exactly once.
protocol RowCursor: Sendable {
    /// More rows, or nil after the last ones.
    func next() async throws -> WireResult?
    /// No more rows are wanted. Does not wait.
    func end()
}

/// How often work may be sent again because its connection turned out to be dead.
///
/// Connections that went idle may all be dead at once (a restart, a firewall that forgot them), and each costs one replay, so those
/// are bounded only by the pool's size. A connection that was good a moment ago and ended without a word may have been killed by the work itself.
struct ReplayBudget {
    private var silent = 2
    private var announced = 64
    private var repairs = 1

    mutating func take(after error: WireError, _ lease: Lease) -> Bool {
        if case .lost(_, let fatal?) = error, fatal.isAdministrative {
            announced -= 1
            return announced >= 0
        }
        if lease.connection.hasFallenSilent {
            announced -= 1
            return announced >= 0
        }
        silent -= 1
        return silent >= 0
    }

    /// For a prepared statement that the server had lost.
    mutating func takeRepair() -> Bool {
        repairs -= 1
        return repairs >= 0
    }
}

/// The result of a flight's last command, or the error that the caller shall see.
///
/// A statement that was interrupted by nobody's cancellation was interrupted by the end of its session, or of the engine.
func verdict(
    on outcome: FlightOutcome, _ options: @autoclosure () -> SessionOptions, isShutDown: @autoclosure () -> Bool = false
) -> Result<WireResult, any Error> {
    guard let error = outcome.failure else {
        if let result = outcome.result { return .success(result) }
        return .failure(EngineError.connectionLost("the server skipped a statement without an error"))
    }
    if error.sqlState == "57014" {
        if outcome.interruption == .cancelled {
            guard !Task.isCancelled else { return .failure(CancellationError()) }
            return .failure(isShutDown() ? EngineError.shutDown : EngineError.sessionClosed)
        }
        if outcome.interruption == .timedOut || options().statementTimeout != nil {
            return .failure(EngineError.statementTimedOut(outcome.refused.excerpt))
        }
    }
    if error.sqlState.isEmpty { return .failure(EngineError.encoding(error.message)) }
    return .failure(ServerError(error, query: outcome.refused, isStale: outcome.isStale))
}

extension WireServerError {
    /// The server ended the session on somebody's order, or because it was idle; it says so before it does.
    var isAdministrative: Bool { isFatal && ["57P01", "57P04", "57P05", "25P03"].contains(sqlState) }
}

extension WireError {
    /// The backend announced its end in place of any answer: an interrupted statement is rolled back with its transaction.
    var provesNothingWasExecuted: Bool {
        if case .lost(_, let fatal?) = self { return fatal.isAdministrative }
        return false
    }
}

extension SQLQuery {
    /// Whether the server runs it as a single transaction, by its first word: what CALL, DO or VACUUM commit on the
    /// way is not undone when they are interrupted.
    var isOneTransaction: Bool {
        let word = text.utf8.drop { $0 == 32 || $0 == 10 || $0 == 9 || $0 == 40 }.prefix {
            $0 | 32 >= 97 && $0 | 32 <= 122
        }
        return ["select", "insert", "update", "delete", "with", "values", "table", "merge"]
            .contains(String(decoding: word.map { $0 | 32 }, as: UTF8.self))
    }

    /// `SET LOCAL` for several settings, their values as bindings.
    init(settingLocally settings: [(name: String, value: String)]) {
        var query: SQLQuery = "SELECT set_config(\(settings[0].name), \(settings[0].value), true)"
        for setting in settings.dropFirst() {
            query = "\(query), set_config(\(setting.name), \(setting.value), true)"
        }
        self = query
    }
}

extension SessionOptions {
    /// Some time after the server's own statement timeout: when the server does not answer at all. Zero is no limit.
    var clientTimeout: Duration? {
        statementTimeout.flatMap { $0 > .zero ? .milliseconds($0.wholeMilliseconds + 500) : nil }
    }
    var clientDeadline: Monotonic? { clientTimeout.map { Monotonic.now.advanced(by: $0) } }
}

internal import PoolCore
internal import PostgresWire

/// A session's state and conversations. ``Session`` values are handles on it, one per scope.
///
/// ```
///            begin()                      first statement: BEGIN rides along
///   none ───────────▶ pending ────────────────────────────▶ active ──▶ failed (a statement was refused)
///    ▲ └──────────────── first statement ──────────────────▶  │           │
///    │                                                        ├──▶ lost (the connection ended)
///    └──── commit, rollback, close: the connection goes home ─┴───────────┘
/// ```
///
/// It never waits without a deadline of its own for BEGIN, ROLLBACK or its return, and never gives a connection home in
/// a transaction (S2). The user's own error is never masked by a failed rollback (S3).
@usableFromInline
final class SessionCore: @unchecked Sendable {
    // Proof: `claim` admits one operation at a time; everything below it is touched by the claimant alone. So what each
    // statement touches is not checked for exclusive access once more.
    let hands = Claim()

    enum Transaction {
        case none, pending, active
        case failed(SQLState)
        case lost(String)
    }

    let engine: Engine
    let options: SessionOptions
    let origin: Origin
    private let checkoutTimeout: Duration?
    /// The raw connection that the session was given; nil: it borrows connections itself.
    let joined: JoinedConnection?
    /// Of a stream's session on a raw connection: the claim's number there.
    @exclusivity(unchecked) var holdOnConnection = 0

    @exclusivity(unchecked) var transaction = Transaction.none
    /// How the transaction begins and ends.
    @exclusivity(unchecked) var frame: TransactionFrame
    @exclusivity(unchecked) var lease: Lease?
    /// Of the transaction that is pending.
    @exclusivity(unchecked) var characteristics = TransactionCharacteristics()
    /// Open savepoints, outermost first.
    @exclusivity(unchecked) var savepoints: [Savepoint] = []
    /// Commands that ride in the next statement's flight.
    @exclusivity(unchecked) var riders: [Rider] = []
    /// Scopes that are open, innermost last; a handle is usable while its scope is among them.
    @exclusivity(unchecked) var scopes: [Scope] = []
    @exclusivity(unchecked) var isClosed = false
    /// Actions for the end of the transaction, and those whose time has come.
    @exclusivity(unchecked) var afterCommit: [@Sendable () async -> Void] = []
    @exclusivity(unchecked) var afterRollback: [@Sendable () async -> Void] = []
    @exclusivity(unchecked) var dueActions: [@Sendable () async -> Void] = []
    /// Whether COMMIT has been sent with the last statement, or after it.
    @exclusivity(unchecked) var hasSentCommit = false
    /// Something of this session may stay; after that, nothing is run again.
    @exclusivity(unchecked) var mayBeCommitted = false
    /// How the transaction stood when its scope was left by an error.
    @exclusivity(unchecked) var abandoned = Transaction.none
    @exclusivity(unchecked) var timeout: Monotonic?
    /// How many scopes with a timeout are open.
    @exclusivity(unchecked) var timedScopes = 0
    /// The most that were open when one of them ended in a transaction.
    @exclusivity(unchecked) var deepestEndedTimeout = 0
    /// The transaction's id on the server, where the options ask for it and it has one.
    @exclusivity(unchecked) var transactionID: UInt64?
    @exclusivity(unchecked) private var serial = 0

    struct Savepoint {
        var name: String
        var isSent = false
    }

    struct Rider {
        var command: SQLQuery
        /// The savepoint that it makes.
        var savepoint: String?
        /// The number of the scope with a timeout that it tells the server of.
        var timeout: Int?
    }

    struct Scope {
        var id: Int
        /// Its transaction, or savepoint, was ended by hand inside it: nothing more is said until it ends.
        var isEnded = false
        /// Whether the scope owns a transaction or savepoint that `commit` by hand would end.
        var ownsTransaction: Bool
    }

    init(
        _ engine: Engine, _ options: SessionOptions?, _ checkoutTimeout: Duration?, _ origin: Origin,
        joining joined: JoinedConnection? = nil
    ) {
        self.engine = engine
        self.joined = joined
        frame = engine.configuration.isSandbox ? .sandbox : .own
        self.options = options?.over(engine.configuration.session) ?? engine.configuration.session
        self.checkoutTimeout = checkoutTimeout
        self.origin = origin
    }

    // MARK: One operation at a time

    /// Admits the caller, or says that somebody else is in. Nothing is sent.
    func claim(_ scope: Int?) throws(EngineError) {
        guard hands.take() else {
            throw .invalidState("the session is in use by another task, or inside its own stream")
        }
        do throws(EngineError) {
            try checkUsable(scope)
        } catch {
            unclaim()
            throw error
        }
    }

    func unclaim() { hands.give() }

    /// For the end of the session: also where a stream or a COPY is between two of its steps. Its rows are nobody's any more.
    func claimAtEnd() throws(EngineError) {
        guard hands.takeOver() else { throw .invalidState("the session is in use by another task") }
        guard isClosed else { return }
        unclaim()
        throw .sessionClosed
    }

    private func checkUsable(_ scope: Int?) throws(EngineError) {
        guard !isClosed else { throw .sessionClosed }
        guard let scope else { return }
        guard scopes.contains(where: { $0.id == scope }) else { throw .sessionClosed }
    }

    /// The number of a scope, or of a savepoint's name, that this session has not used yet.
    func nextSerial() -> Int {
        serial += 1
        return serial
    }

    // MARK: Statements

    /// One statement: begins the transaction if there is none, and rides with whatever is pending.
    func run(_ query: SQLQuery, in scope: Int?, into rows: (any TypedRowSink)? = nil) async throws -> WireResult {
        try query.validated()
        try claim(scope)
        defer { unclaim() }
        var flight = Flight(statement: query, rows: rows)
        return try await sayAndAct(&flight).result.unsafelyUnwrapped
    }

    /// With the actions of a transaction that a statement's own text has ended, or was to commit.
    @inline(__always)
    private func sayAndAct(_ flight: inout Flight) async throws -> FlightOutcome {
        do {
            let outcome = try await say(&flight, thenCommit: false)
            if !dueActions.isEmpty { await runActions() }
            return outcome
        } catch {
            await runActions()
            throw error
        }
    }

    @inline(never)
    private func runActions() async {
        for action in takeActions() { await action() }
    }

    /// Several statements in one flight, answered in order. If one is refused, those after it are not executed.
    func run(all queries: [SQLQuery], in scope: Int?) async throws -> [WireResult] {
        guard let first = queries.first else { return [] }
        for query in queries { try query.validated() }
        try claim(scope)
        defer { unclaim() }
        var flight = Flight(statement: first, further: Array(queries.dropFirst()))
        return try await sayAndAct(&flight).results
    }

    /// A statement, and more of a batch as they come.
    func run(_ first: SQLQuery, _ feed: StatementFeed, in scope: Int?) async throws {
        try claim(scope)
        defer { unclaim() }
        var flight = Flight(statement: first, feed: feed)
        _ = try await sayAndAct(&flight)
    }

    /// Whether the next flight may have to be sent again, because it begins the transaction.
    var mayOpenAgain: Bool {
        switch transaction {
        case .none, .pending: true
        case .active, .failed, .lost: false
        }
    }

    /// The claimed part of a statement. The flight has the user's statements; what belongs to the transaction is put around
    /// them here. The outcome is free of failures.
    func say(_ flight: inout Flight, thenCommit: Bool) async throws -> FlightOutcome {
        if let ended = scopes.last, ended.isEnded {
            throw EngineError.invalidState("the transaction was ended inside its scope; leave the scope first")
        }
        try Task.checkCancellation()
        if let timeout, timeout <= .now {
            throw EngineError.statementTimedOut(
                "the time of withTimeout was up before: \(flight.statement.text.excerpt)")
        }
        if mustLearnID && !flight.isUnnamed { flight.further.append(Self.transactionIDQuery) }
        switch transaction {
        case .none, .pending: return try await open(with: &flight, thenCommit: thenCommit)
        case .active:
            try lease?.connection.checkNotShutDown()
            return try await goOn(with: &flight, thenCommit: thenCommit)
        case .failed(let state):
            throw EngineError.transactionAborted("a statement failed with \(state); roll back to go on")
        case .lost(let why): throw EngineError.transactionAborted("\(why); roll back to go on")
        }
    }

    /// The opening flight: BEGIN, locals and the statement. Where its connection turns out to be dead, nothing can have
    /// been committed, so it is sent again on another one.
    @inline(__always)
    private func open(with flight: inout Flight, thenCommit: Bool) async throws -> FlightOutcome {
        var deadline: PoolInstant?
        var replays = ReplayBudget()
        if options.hasLocalSettings { try options.validated() }
        while true {
            let lease = try await borrow(until: &deadline)
            self.lease = lease
            hasSentCommit = thenCommit
            flight.leading = opening
            let opening = flight.leading.count
            prepare(&flight, thenCommit: thenCommit)
            flight.livenessTimeout = engine.livenessTimeout(
                lease, joined == nil ? Engine.livenessTimeout : Engine.longLivenessTimeout)
            var outcome: FlightOutcome
            do throws(WireError) {
                outcome = try await lease.connection.fly(flight)
            } catch {
                let beginning = beginning
                giveBackBroken()
                let mayReplay = !thenCommit && joined == nil && !Task.isCancelled && !flight.hasTextOfCommit
                if mayReplay && replays.take(after: error, lease) {
                    beginAgain(beginning)
                    continue
                }
                throw fail(error, of: flight)
            }
            if outcome.isStale, frame.isOwn, replays.takeRepair() {
                let beginning = beginning
                await rollBackQuietly()
                beginAgain(beginning)
                continue
            }
            try conclude(&outcome, of: flight, opening: opening)
            return outcome
        }
    }

    /// The deadline counts from the first time that nothing is idle.
    @inline(__always)
    private func borrow(until deadline: inout PoolInstant?) async throws -> Lease {
        if let joined { return try join(joined) }
        let pool = engine.pool
        if let lease = try pool.takeIdle(origin) { return lease }
        let now = ConnectionPool.now
        let latest = deadline ?? checkoutDeadline(since: now)
        deadline = latest
        do {
            if let lease = try pool.settle(await pool.wait(since: now, until: latest), origin) { return lease }
            return try await pool.checkout(until: latest, origin: origin)
        } catch EngineError.checkoutTimedOut(let then) {
            throw whyNotBorrowed(then)
        }
    }

    /// Whose bound it was that expired: the pool's, or that of a scope around the statement.
    @inline(never)
    private func whyNotBorrowed(_ then: Engine.Statistics) -> EngineError {
        guard let timeout, timeout <= .now else { return .checkoutTimedOut(then) }
        return .statementTimedOut("the time of withTimeout was up while it waited for a connection: \(then)")
    }

    private func checkoutDeadline(since now: PoolInstant) -> PoolInstant {
        let deadline = engine.pool.deadline(checkoutTimeout, since: now)
        return timeout.map { min(deadline, PoolInstant(nanoseconds: $0.nanoseconds)) } ?? deadline
    }

    private var opening: [SQLQuery] {
        let begin = frame.opening(characteristics.over(options))
        return options.hasLocalSettings && joined?.isStream != true
            ? begin + [SQLQuery(settingLocally: options.localSettings)] : begin
    }

    @inline(__always)
    private func goOn(with flight: inout Flight, thenCommit: Bool) async throws -> FlightOutcome {
        guard let lease else { throw EngineError.invalidState("the transaction has no connection") }
        if thenCommit { try checkNotEnded(lease) }
        hasSentCommit = thenCommit
        prepare(&flight, thenCommit: thenCommit)
        var outcome: FlightOutcome
        do throws(WireError) {
            outcome = try await lease.connection.fly(flight)
        } catch {
            giveBackBroken()
            throw fail(error, of: flight)
        }
        try conclude(&outcome, of: flight, opening: 0)
        return outcome
    }

    /// Puts around the statements what the transaction needs, now that its frame is known.
    private func prepare(_ flight: inout Flight, thenCommit: Bool) {
        for rider in riders { flight.leading.append(rider.command) }
        if thenCommit { flight.trailing = frame.commit }
        flight.limits = statementLimits
    }

    /// While the transaction's id is wanted and not known, a question for it rides behind each statement: by the time of COMMIT,
    /// when it is too late to ask, it is known.
    var mustLearnID: Bool { options.tracksOutcome && transactionID == nil }
    private static let transactionIDQuery: SQLQuery = "SELECT pg_current_xact_id_if_assigned()::text"

    /// When statements that begin now must have ended.
    var statementLimits: FlightLimits { FlightLimits(each: options.clientTimeout, all: timeout) }
}

internal import PoolCore
internal import PostgresWire

/// One physical connection, borrowed for the length of a scope: every statement commits by itself.
///
/// For what cannot run in a transaction: CREATE DATABASE, VACUUM, CREATE INDEX CONCURRENTLY. Not `Sendable`: one task.
public struct Connection {
    let core: ConnectionCore

    @usableFromInline
    init(_ core: ConnectionCore) { self.core = core }

    /// One statement: one round trip, one transaction.
    @discardableResult
    public func execute(_ query: SQLQuery) async throws -> CommandResult { CommandResult(try await core.run(query)) }
}

/// The state behind a ``Connection``.
@usableFromInline
final class ConnectionCore: @unchecked Sendable {
    // Proof: `hands` admits one operation at a time; the rest is touched by the claimant alone.
    let hands = Claim()
    /// What was borrowed, and from whom; for one that is being made, nobody's.
    let lease: Lease
    private let engine: Engine?
    /// For one that is being made.
    private let optionsWhileMade: SessionOptionsBox?
    @exclusivity(unchecked) private var isDetached = false
    /// The server has answered since the connection was borrowed, or was asked to.
    @exclusivity(unchecked) private var isProven = false
    @exclusivity(unchecked) var isLost = false
    @exclusivity(unchecked) var savepoints = OpenSavepoints()
    /// The session of a stream, which holds the claim; or of one that was left early, whose transaction is still to be ended.
    @exclusivity(unchecked) private var stream: SessionCore?

    private final class SessionOptionsBox: Sendable {
        let options: SessionOptions
        init(_ options: SessionOptions) { self.options = options }
    }

    /// While the connect hooks run.
    init(making connection: PhysicalConnection, _ options: SessionOptions) {
        let nobodys = LeaseID(connection: ConnectionID(slot: -1, serial: 0), number: 0)
        lease = Lease(Loan(id: nobodys, isDoubtful: false), connection)
        (engine, optionsWhileMade) = (nil, SessionOptionsBox(options))
    }

    init(_ lease: Lease, of engine: Engine) {
        self.lease = lease
        (self.engine, optionsWhileMade) = (engine, nil)
    }

    /// Where the connection was borrowed; nil for one that is being made.
    var home: (engine: Engine, lease: Lease)? { engine.map { ($0, lease) } }

    fileprivate var options: SessionOptions {
        engine?.configuration.session ?? optionsWhileMade?.options ?? SessionOptions()
    }

    /// nil once the scope has ended.
    fileprivate var connection: PhysicalConnection? { isDetached ? nil : lease.connection }

    func claim() throws(EngineError) {
        guard hands.take() else {
            throw .invalidState("the connection is in use by another task, or inside its own stream")
        }
    }

    func unclaim() { hands.give() }

    /// For the first flight on a connection that was idle for long.
    private func takeLivenessTimeout() -> Duration? {
        guard !isProven, let home else { return nil }
        isProven = true
        return home.engine.livenessTimeout(home.lease, Engine.longLivenessTimeout)
    }

    /// Claimed. As `ready`, for a conversation that cannot have a proof of life in its flight.
    private func readyAlive() async throws(EngineError) -> PhysicalConnection {
        let connection = try await ready()
        guard let timeout = takeLivenessTimeout() else { return connection }
        guard await connection.ping(within: timeout) else {
            isLost = true
            throw .connectionLost("no sign of life from \(connection.wire.target) within \(timeout)")
        }
        return connection
    }

    /// Claimed, and good for the next conversation.
    func ready() async throws(EngineError) -> PhysicalConnection {
        if stream != nil { await endLeftStream() }
        return try usable()
    }

    func usable() throws(EngineError) -> PhysicalConnection {
        guard !isLost else { throw .connectionLost("it was lost earlier in this scope") }
        guard let connection else { throw .invalidState("the connection was used beyond its scope") }
        return connection
    }

    func run(_ query: SQLQuery, into rows: (any TypedRowSink)? = nil) async throws -> WireResult {
        try query.validated()
        try claim()
        defer { unclaim() }
        let connection = try await ready()
        var replays = ReplayBudget()
        while true {
            try Task.checkCancellation()
            try connection.checkNotShutDown()
            let outcome: FlightOutcome
            do throws(WireError) {
                let limits = FlightLimits(soft: options.clientDeadline)
                outcome = try await connection.fly(
                    Flight(statement: query, limits: limits, livenessTimeout: takeLivenessTimeout(), rows: rows))
            } catch {
                isLost = true
                if query.wouldCommit {
                    throw EngineError.commitOutcomeUnknown(
                        CommitOutcome(transactionID: nil, reason: "\(EngineError(error))"))
                }
                throw error.surfaced(hasTimeout: options.statementTimeout != nil)
            }
            let mayRepair = connection.wire.transactionStatus == .idle && outcome.isStale
            if mayRepair && replays.takeRepair() { continue }
            note(outcome, query, connection)
            return try verdict(on: outcome, options, isShutDown: home?.engine.pool.isShutDown == true).get()
        }
    }

    private func note(_ outcome: FlightOutcome, _ query: SQLQuery, _ connection: PhysicalConnection) {
        if let error = outcome.failure {
            if let home { home.engine.note(error, on: home.lease, mayWrite: options.accessMode != .readOnly) }
        } else if connection.wire.transactionStatus != .idle || !savepoints.isEmpty {
            savepoints.note(query.text)
        }
    }

    /// A cursor wants a transaction: that which is open (in a savepoint of its own), or one that ends with the stream.
    func openCursor(_ query: SQLQuery) async throws -> any RowCursor {
        guard let home, query.canBeACursor else { return WholeResult(try await run(query)) }
        try claim()
        do {
            let connection = try await ready()
            guard connection.wire.transactionStatus != .failed else {
                unclaim()
                return WholeResult(try await run(query))
            }
        } catch {
            unclaim()
            throw error
        }
        let session = SessionCore(
            home.engine, nil, nil, Origin(file: "a raw connection's stream", line: 0),
            joining: JoinedConnection(
                core: self, lease: lease, mode: .createSavepoint, demands: TransactionCharacteristics(), isStream: true)
        )
        do {
            let cursor = try await SessionCursor.open(query, on: session, in: nil, closesSession: true)
            stream = session
            session.holdOnConnection = hands.hold()
            return cursor
        } catch {
            await session.closeInTurn()
            unclaim()
            throw error
        }
    }

    /// Its session has been closed.
    func endStream(_ hold: Int) {
        guard hands.resume(hold) else { return }
        stream = nil
        unclaim()
    }

    /// It was left early. Does not wait: whoever uses the connection next ends its transaction.
    func leaveStream(_ hold: Int) {
        if hands.resume(hold) { unclaim() }
    }

    /// Claimed. What was read of it is committed.
    @inline(never)
    private func endLeftStream() async {
        await stream.take()?.commitAndClose()
    }

    func copyIn(
        _ table: String, _ columns: [String], _ source: CopyInSource,
        _ fill: (inout CopyEncoder) async throws -> Bool
    ) async throws -> CommandResult {
        try claim()
        defer { unclaim() }
        let connection = try await readyAlive()
        defer { isLost = isLost || connection.wire.isBroken }
        return try await noting { try await connection.copyIn(table, columns, source, copyLimits, fill) }
    }

    /// What the server refuses may be news of its connection.
    fileprivate func noting<R>(_ body: () async throws -> R) async throws -> R {
        do {
            return try await body()
        } catch let error as ServerError {
            if let home { home.engine.note(error, on: home.lease, mayWrite: options.accessMode != .readOnly) }
            throw error
        }
    }

    /// Holds the claim until the rows have been read or dropped.
    func beginCopyOut(_ query: SQLQuery, as format: CopyFormat = .binary) async throws -> CopyConversation {
        try query.validated()
        try claim()
        do {
            let columns = try await noting { try await readyAlive().beginCopyOut(query, format, copyLimits) }
            return CopyConversation(self, hands.hold(), query.text, columns)
        } catch {
            endCopyOut()
            throw error
        }
    }

    /// As `detach`, where nobody is inside and the connection is good; else false, and nothing has happened.
    func tryDetach() -> Bool {
        guard hands.take() else { return false }
        defer { unclaim() }
        guard !isLost, stream == nil else { return false }
        isDetached = true
        return true
    }

    /// Ends the use of the connection through this object. Whoever is still inside (a task it was smuggled into) has its
    /// statement cancelled, and is waited for. False: the connection was lost.
    func detach() async -> Bool {
        while !hands.takeOver() {
            connection?.wire.interrupt()
            await Task.detached { try? await Task.sleep(for: .milliseconds(5)) }.value
        }
        if stream != nil { await endLeftStream() }
        isDetached = true
        unclaim()
        return !isLost
    }
}

extension ConnectionCore: CopySource {
    func resume(_ hold: Int) -> Bool { hands.resume(hold) }
    func pause(_ hold: Int) { hands.pause(hold) }
    var copying: PhysicalConnection? { connection }
    var copyLimits: FlightLimits { FlightLimits(soft: options.clientDeadline) }

    func finishCopyOut(_ text: String) async throws {
        defer { endCopyOut() }
        try await noting { try await connection?.endCopyOut(text, copyLimits) }
    }

    func endCopyOut() {
        isLost = isLost || connection?.wire.isBroken == true
        unclaim()
    }
}

@available(*, unavailable, message: "a connection belongs to one task")
extension Connection: Sendable {}

internal import PoolCore
internal import PostgresWire
internal import Synchronization

/// One physical connection, borrowed for the length of a scope: every statement commits by itself.
///
/// For what cannot run in a transaction: CREATE DATABASE, VACUUM, CREATE INDEX CONCURRENTLY. Not `Sendable`: one task.
public final class Connection {
    let core: ConnectionCore

    init(_ core: ConnectionCore) { self.core = core }

    /// One statement: one round trip, one transaction.
    @discardableResult
    public func execute(_ query: SQLQuery) async throws -> CommandResult { CommandResult(try await core.run(query)) }
}

/// The state behind a ``Connection``.
final class ConnectionCore: @unchecked Sendable {
    // Proof: `isClaimed` admits one operation at a time; the rest is touched by the claimant alone.
    private let isClaimed = Atomic<Bool>(false)
    /// What was borrowed, and from whom; for one that is being made, nobody's.
    let lease: Lease
    private let engine: Engine?
    /// For one that is being made.
    private let optionsWhileMade: SessionOptionsBox?
    @exclusivity(unchecked) private var isDetached = false
    @exclusivity(unchecked) var isLost = false
    @exclusivity(unchecked) var savepoints = OpenSavepoints()

    private final class SessionOptionsBox: Sendable {
        let options: SessionOptions
        init(_ options: SessionOptions) { self.options = options }
    }

    /// While the connect hooks run.
    init(making connection: PhysicalConnection, _ options: SessionOptions) {
        let nobodys = LeaseID(connection: ConnectionID(slot: -1, serial: 0), number: 0)
        lease = Lease(id: nobodys, connection: connection, idleSince: nil)
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
        guard !isClaimed.exchange(true, ordering: .acquiringAndReleasing) else {
            throw .invalidState("the connection is in use by another task")
        }
    }

    func unclaim() { isClaimed.store(false, ordering: .releasing) }

    func usable() throws(EngineError) -> PhysicalConnection {
        guard !isLost else { throw .connectionLost("it was lost earlier in this scope") }
        guard let connection else { throw .invalidState("the connection was used beyond its scope") }
        return connection
    }

    func run(_ query: SQLQuery, into rows: (any TypedRowSink)? = nil) async throws -> WireResult {
        try query.validated()
        try claim()
        defer { unclaim() }
        let connection = try usable()
        var replays = ReplayBudget()
        while true {
            try Task.checkCancellation()
            let outcome: FlightOutcome
            do throws(WireError) {
                let limits = FlightLimits(soft: options.clientDeadline)
                outcome = try await connection.fly(Flight(statement: query, limits: limits, rows: rows))
            } catch {
                isLost = true
                throw error.surfaced(hasTimeout: options.statementTimeout != nil)
            }
            let mayRepair = connection.wire.transactionStatus == .idle && outcome.failure?.isStaleStatement == true
            if mayRepair && replays.takeRepair() { continue }
            note(outcome, query, connection)
            return try verdict(on: outcome, options).get()
        }
    }

    private func note(_ outcome: FlightOutcome, _ query: SQLQuery, _ connection: PhysicalConnection) {
        if let error = outcome.failure {
            if let home { home.engine.note(error, on: home.lease, mayWrite: options.accessMode != .readOnly) }
        } else if connection.wire.transactionStatus != .idle || !savepoints.isEmpty {
            savepoints.note(query.text)
        }
    }

    /// All rows at once: a raw connection has no transaction for a cursor to live in.
    func openCursor(_ query: SQLQuery) async throws -> any RowCursor { WholeResult(try await run(query)) }

    func copyIn(
        _ table: String, _ columns: [String], _ source: CopyInSource,
        _ fill: (inout CopyEncoder) async throws -> Bool
    ) async throws -> CommandResult {
        try claim()
        defer { unclaim() }
        let connection = try usable()
        defer { isLost = isLost || connection.wire.isBroken }
        do {
            return try await connection.copyIn(table, columns, source, copyLimits, fill)
        } catch let error as ServerError {
            if let home { home.engine.note(error, on: home.lease, mayWrite: options.accessMode != .readOnly) }
            throw error
        }
    }

    /// Holds the claim until the rows have been read or dropped.
    func beginCopyOut(_ query: SQLQuery, as format: CopyFormat = .binary) async throws -> RowColumns {
        try query.validated()
        try claim()
        do {
            return try await usable().beginCopyOut(query, format, copyLimits)
        } catch {
            endCopyOut(isComplete: false)
            throw error
        }
    }

    /// As `detach`, where nobody is inside and the connection is good; else false, and nothing has happened.
    func tryDetach() -> Bool {
        guard !isClaimed.exchange(true, ordering: .acquiringAndReleasing) else { return false }
        defer { unclaim() }
        guard !isLost else { return false }
        isDetached = true
        return true
    }

    /// Ends the use of the connection through this object. Whoever is still inside (a task it was smuggled into) has its
    /// statement cancelled, and is waited for. False: the connection was lost.
    func detach() async -> Bool {
        while true {
            do throws(EngineError) {
                try claim()
                break
            } catch {
                connection?.wire.interrupt()
                await Task.detached { try? await Task.sleep(for: .milliseconds(5)) }.value
            }
        }
        isDetached = true
        unclaim()
        return !isLost
    }
}

extension ConnectionCore: CopySource {
    var copying: PhysicalConnection? { connection }
    var copyLimits: FlightLimits { FlightLimits(soft: options.clientDeadline) }

    func finishCopyOut(_ text: String) async throws {
        defer { endCopyOut(isComplete: true) }
        try await connection?.endCopyOut(text, copyLimits)
    }

    func endCopyOut(isComplete: Bool) {
        isLost = isLost || connection?.wire.isBroken == true
        unclaim()
    }
}

@available(*, unavailable, message: "a connection belongs to one task")
extension Connection: Sendable {}

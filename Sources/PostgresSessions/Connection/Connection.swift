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
final class ConnectionCore: StatementRunner, @unchecked Sendable {
    // Proof: `isClaimed` admits one operation at a time; `lease` and `isLost` are touched by the claimant alone.
    private let isClaimed = Atomic<Bool>(false)
    private let engine: Engine
    private var lease: Lease?
    private var isLost = false

    init(_ engine: Engine, _ lease: Lease) {
        self.engine = engine
        self.lease = lease
    }

    private func claim() throws(EngineError) {
        guard !isClaimed.exchange(true, ordering: .acquiringAndReleasing) else {
            throw .invalidState("the connection is in use by another task")
        }
    }

    private func unclaim() { isClaimed.store(false, ordering: .releasing) }

    func run(_ query: SQLQuery) async throws -> WireResult {
        try query.validated()
        try claim()
        defer { unclaim() }
        guard let lease else {
            throw isLost
                ? EngineError.connectionLost("it was lost earlier in this scope")
                : EngineError.invalidState("the connection was used beyond its scope")
        }
        var replays = ReplayBudget()
        while true {
            try Task.checkCancellation()
            let options = engine.configuration.session
            let outcome: FlightOutcome
            do throws(WireError) {
                let limits = FlightLimits(soft: options.clientDeadline)
                outcome = try await lease.connection.fly(Flight([query], limits: limits))
            } catch {
                giveBack(.broken)
                isLost = true
                throw Task.isCancelled ? CancellationError() : EngineError(error)
            }
            let mayRepair = lease.wire.transactionStatus == .idle && outcome.failure?.error.isStaleStatement == true
            if mayRepair && replays.takeRepair() { continue }
            return try verdict(on: outcome, query, options).get()
        }
    }

    /// The end of the scope: an open transaction is rolled back before anybody else gets the connection.
    func close() async {
        do throws(EngineError) {
            try claim()
        } catch {
            // Smuggled into a task that is still inside: its statement is cancelled, and it gives the connection up.
            return closeLater()
        }
        if let lease { giveBack(await engine.settle(lease)) }
        unclaim()
    }

    private func closeLater() {
        Task { [self] in
            while true {
                do throws(EngineError) {
                    try claim()
                    break
                } catch {
                    try? await Task.sleep(for: .milliseconds(10))
                }
            }
            if let lease { giveBack(await engine.settle(lease)) }
            unclaim()
        }
    }

    private func giveBack(_ outcome: LeaseOutcome) {
        guard let lease else { return }
        self.lease = nil
        engine.pool.giveBack(lease, outcome)
    }
}

@available(*, unavailable, message: "a connection belongs to one task")
extension Connection: Sendable {}

internal import PoolCore
internal import PostgresWire

// What a flight leaves behind.
extension SessionCore {
    /// Brings the session's state up to the server's, and throws the outcome's failure.
    func conclude(_ outcome: inout FlightOutcome, of flight: Flight, opening: Int) throws {
        noteRiders(outcome, leading: opening)
        if mustLearnID && !flight.isUnnamed && outcome.hasCompletedStatements(of: flight) {
            transactionID = outcome.takeLastFurther()?.firstText.flatMap { UInt64($0) }
        }
        if let error = outcome.failure, let lease {
            engine.note(error, on: lease, mayWrite: mayWrite)
        }
        let expectedTag = frame.commitTag
        switch lease?.wire.transactionStatus {
        case .inTransaction where outcome.trailing != nil: endTransaction()  // a savepoint's RELEASE
        case .inTransaction:
            transaction = .active
            if let end = outcome.end { goOnInNext(after: end, outcome) }
            if outcome.hasGoneBack { endTimeoutsAgain() }
        case .failed:
            transaction = .failed(SQLState(outcome.failure?.sqlState ?? "25P02"))
            if let end = outcome.end { goOnInNext(after: end, outcome) }
        default:  // a statement, or COMMIT, ended it
            endTransaction()
            if flight.trailing == nil { note(outcome.end ?? .rolledBack, outcome) }
        }
        if flight.trailing != nil, outcome.failure == nil, outcome.trailing?.isTagged(expectedTag) != true {
            throw EngineError.transactionAborted("the server answered COMMIT with ROLLBACK")
        }
        _ = try verdict(on: outcome, effectiveOptions, isShutDown: engine.pool.isShutDown).get()
    }

    /// Whether the server's refusal to write is news.
    var mayWrite: Bool { (characteristics.accessMode ?? options.accessMode) != .readOnly }

    /// For errors: a scope with a timeout counts as a statement timeout.
    private var effectiveOptions: SessionOptions {
        guard timeout != nil else { return options }
        var options = options
        options.statementTimeout = options.statementTimeout ?? .zero
        return options
    }

    private func noteRiders(_ outcome: FlightOutcome, leading: Int) {
        guard !riders.isEmpty else { return }
        for (index, rider) in riders.enumerated() where leading + index < outcome.completed {
            guard let name = rider.savepoint else { continue }
            if let position = savepoints.lastIndex(where: { $0.name == name }) { savepoints[position].isSent = true }
        }
        riders.removeAll()
    }

    /// A COMMIT may be the flight's own, or be the user's text.
    func fail(_ error: WireError, of flight: Flight) -> any Error {
        if isCommitFinal && (flight.trailing != nil || flight.hasTextOfCommit) {
            let unknown = CommitOutcome(transactionID: transactionID, reason: "\(EngineError(error))")
            forgetActions()
            return EngineError.commitOutcomeUnknown(unknown)
        }
        return error.surfaced(hasTimeout: timeout != nil || options.statementTimeout != nil)
    }

    /// The connection is gone, and the transaction with it.
    func giveBackBroken(_ why: String = "the connection was lost") {
        guard let lease else { return }
        self.lease = nil
        if let joined { joined.core.isLost = true } else { engine.pool.giveBack(lease, .broken) }
        savepoints.removeAll()
        riders.removeAll()
        transaction = .lost(why)
    }

    /// Nothing is open any more; the connection goes home.
    func endTransaction() {
        transaction = .none
        transactionID = nil
        characteristics = TransactionCharacteristics()
        savepoints.removeAll()
        riders.removeAll()
        guard let lease else { return }
        self.lease = nil
        if let joined { return leave(joined) }
        engine.pool.giveBack(lease, lease.connection.outcomeWhenIdle(engine.configuration.pool.resetOnReturn))
    }
}

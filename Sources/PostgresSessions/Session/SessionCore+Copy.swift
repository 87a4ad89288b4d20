internal import PostgresWire

/// A session or connection that a COPY holds until its end.
protocol CopySource: AnyObject, Sendable {
    /// See ``Claim``.
    func resume(_ hold: Int) -> Bool
    func pause(_ hold: Int)
    var copying: PhysicalConnection? { get }
    var copyLimits: FlightLimits { get }
    /// All rows were read.
    func finishCopyOut(_ text: String) async throws
    /// No more rows are wanted. Does not wait.
    func endCopyOut()
}

extension SessionCore: CopySource {
    func resume(_ hold: Int) -> Bool { hands.resume(hold) }
    func pause(_ hold: Int) { hands.pause(hold) }
    var copying: PhysicalConnection? { lease?.connection }
    var copyLimits: FlightLimits { statementLimits }

    func copyIn(
        _ table: String, _ columns: [String], _ source: CopyInSource, in scope: Int?,
        _ fill: (inout CopyEncoder) async throws -> Bool
    ) async throws -> CommandResult {
        try claim(scope)
        defer { unclaim() }
        let connection = try await connectionInTransaction()
        do {
            return try await connection.copyIn(table, columns, source, statementLimits, fill)
        } catch {
            noteTransaction(after: error)
            throw error
        }
    }

    /// Holds the claim until the rows have been read or dropped.
    func beginCopyOut(_ query: SQLQuery, as format: CopyFormat = .binary, in scope: Int?) async throws
        -> CopyConversation
    {
        try query.validated()
        try claim(scope)
        do {
            let connection = try await connectionInTransaction()
            let columns = try await connection.beginCopyOut(query, format, statementLimits)
            return CopyConversation(self, hands.hold(), query.text, columns)
        } catch {
            noteTransaction(after: error)
            unclaim()
            throw error
        }
    }

    func finishCopyOut(_ text: String) async throws {
        defer { unclaim() }
        do {
            try await lease?.connection.endCopyOut(text, statementLimits)
        } catch {
            noteTransaction(after: error)
            throw error
        }
    }

    func endCopyOut() { unclaim() }

    /// COPY cannot ride with BEGIN: a pipeline has no COPY.
    private func connectionInTransaction() async throws -> PhysicalConnection {
        if case .active = transaction, riders.isEmpty {
            try Task.checkCancellation()
        } else {
            var flight = Flight(statement: "SELECT 1")
            _ = try await say(&flight, thenCommit: false)
        }
        guard let lease else { throw EngineError.connectionLost("the transaction has no connection") }
        return lease.connection
    }

    /// What a conversation that did not go through `say` has left of the transaction. A COPY that the server has not refused by
    /// itself was cancelled, by its own words.
    private func noteTransaction(after error: any Error) {
        guard case .active = transaction, let lease else { return }
        if lease.wire.isBroken { return giveBackBroken() }
        let refusal = error as? ServerError
        if let refusal { engine.note(refusal, on: lease, mayWrite: mayWrite) }
        if lease.wire.transactionStatus == .failed { transaction = .failed(refusal?.sqlState ?? .queryCanceled) }
    }
}

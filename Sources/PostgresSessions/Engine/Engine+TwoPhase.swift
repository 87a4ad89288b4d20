extension Engine {
    /// The second phase of a transaction that a session prepared: from any session, also after a restart of either side.
    public func commitPrepared(_ gid: String, file: StaticString = #fileID, line: UInt = #line) async throws {
        let literal = try SQLQuery.literal(gid, what: "a prepared transaction's gid")
        try await execute("COMMIT PREPARED \(literal)", file: file, line: line)
    }

    /// Undoes a transaction that a session prepared.
    public func rollbackPrepared(_ gid: String, file: StaticString = #fileID, line: UInt = #line) async throws {
        let literal = try SQLQuery.literal(gid, what: "a prepared transaction's gid")
        try await execute("ROLLBACK PREPARED \(literal)", file: file, line: line)
    }

    /// The transactions of this database that were prepared and neither committed nor rolled back, oldest first.
    public func preparedTransactions(
        file: StaticString = #fileID, line: UInt = #line
    ) async throws -> [PreparedTransaction] {
        let query: SQLQuery = """
            SELECT gid, transaction::text, owner::text, extract(epoch FROM now() - prepared)::float8
            FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared
            """
        let rows = try await self.query(
            query, as: (String, String, String, Double).self, file: file, line: line
        ).all()
        return rows.map { PreparedTransaction(gid: $0.0, transactionID: $0.1, owner: $0.2, age: .seconds($0.3)) }
    }

    /// What became of a transaction whose COMMIT was never answered. Its id is known where the session's options said
    /// `tracksOutcome`.
    ///
    /// A server that has crashed since gives ids anew that had not reached its disk, and so does one that took over without them:
    /// then ``TransactionOutcome/committed`` may be said of somebody else's transaction, and ``TransactionOutcome/aborted`` is true.
    /// - Throws: ``EngineError/invalidState(_:)`` where the id is not known; ``ServerError`` where the server has forgotten
    ///   it already. Source: https://www.postgresql.org/docs/current/functions-info.html (`pg_xact_status`).
    public func outcome(
        of commit: CommitOutcome, file: StaticString = #fileID, line: UInt = #line
    ) async throws -> TransactionOutcome {
        guard let id = commit.transactionID else {
            throw EngineError.invalidState("the transaction's id is not known: set SessionOptions.tracksOutcome")
        }
        let question: SQLQuery = "SELECT pg_xact_status(\(String(id))::xid8)"
        let status = try await query(question, as: String?.self, file: file, line: line).one()
        return status.flatMap(TransactionOutcome.init) ?? .forgotten
    }
}

/// A transaction between its two phases.
public struct PreparedTransaction: Sendable, Hashable {
    /// The name it was prepared as.
    public let gid: String
    public let transactionID: String
    public let owner: String
    /// Since it was prepared.
    public let age: Duration
}

/// What became of a transaction.
@nonexhaustive
public enum TransactionOutcome: String, Sendable, Hashable {
    case committed
    case aborted
    case inProgress = "in progress"
    /// So old that the server does not know any more.
    case forgotten
}

extension SQLQuery {
    /// Text as a quoted literal, where the grammar takes no parameters.
    static func literal(_ text: String, what: String) throws(EngineError) -> SQLQuery {
        guard !text.isEmpty, text.utf8.count < 200, !text.utf8.contains(0) else {
            throw .encoding("\(what) must have 1 to 199 bytes and no NUL")
        }
        let prefix = text.utf8.contains(UInt8(ascii: "\\")) ? "E" : ""
        return SQLQuery(unsafeRaw: "\(prefix)'\(text.escaping("'\\", with: { $0 }))'")
    }
}

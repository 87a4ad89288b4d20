/// What is known of a COMMIT that was sent and never answered.
public struct CommitOutcome: Sendable {
    /// The transaction's id (`pg_current_xact_id()`), when it had been asked for: the server can tell its outcome later.
    public let transactionID: UInt64?
    /// How the connection ended.
    public let reason: String

    package init(transactionID: UInt64? = nil, reason: String) {
        self.transactionID = transactionID
        self.reason = reason
    }
}

extension CommitOutcome: CustomStringConvertible {
    public var description: String {
        transactionID.map { "\(reason) (transaction \($0))" } ?? reason
    }
}

internal import PostgresWire

/// What a session on a lent connection does where a transaction is open on it already: SQLAlchemy's `join_transaction_mode`.
///
/// Where none is open, every mode is the same: the session begins, commits and rolls back transactions of its own.
///
/// | | commit | rollback | end of the session |
/// |---|---|---|---|
/// | ``createSavepoint`` | releases its savepoint | rolls back to its savepoint | the same |
/// | ``controlFully`` | commits the outer transaction | rolls it back | rolls it back |
/// | ``rollbackOnly`` | says nothing | rolls the outer transaction back | says nothing |
///
/// "The outer transaction" is its innermost savepoint where one is open.
public enum JoinTransactionMode: Sendable, Hashable, CaseIterable {
    /// As ``createSavepoint`` where the outer transaction is in a savepoint, else as ``rollbackOnly``. SQLAlchemy's default.
    case conditionalSavepoint
    /// The outer transaction goes on after a commit, and is undone by a rollback.
    case rollbackOnly
    /// The session ends the outer transaction.
    case controlFully
    /// Whatever the session does, the outer transaction goes on: each of its transactions is a savepoint. The default here.
    case createSavepoint
}

/// A raw connection that a session works on in place of one that it borrows itself.
struct JoinedConnection {
    let core: ConnectionCore
    let lease: Lease
    let mode: JoinTransactionMode
    /// What the session's own options want of a transaction, which one that is open already cannot give.
    let demands: TransactionCharacteristics
    /// The session is a stream's, which says no more than the connection's other statements do.
    var isStream = false

    /// How a transaction that begins now stands to what is open on the connection.
    func frame(isSandbox: Bool) throws(EngineError) -> TransactionFrame {
        guard !core.isLost else { throw .connectionLost("it was lost earlier in this scope") }
        guard lease.wire.transactionStatus != .idle else { return .own }
        let frame = isSandbox ? .joined : frame(in: core.savepoints.innermost)
        if case .savepoint = frame, lease.wire.transactionStatus == .failed {
            throw .transactionAborted("the connection's transaction has failed; roll it back first")
        }
        return frame
    }

    private func frame(in savepoint: String?) -> TransactionFrame {
        switch mode {
        case .createSavepoint: .joined
        case .controlFully: .outer(savepoint: savepoint)
        case .rollbackOnly: .borrowed(savepoint: savepoint)
        case .conditionalSavepoint: savepoint == nil ? .borrowed(savepoint: nil) : .joined
        }
    }
}

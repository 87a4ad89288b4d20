/// Everything that may happen to a pool. Events about a connection, lease or waiter that is no more are late, not wrong:
/// two threads may report in either order, so the machine ignores them.
package enum PoolEvent: Hashable, Sendable {
    /// Somebody wants a connection until `deadline`. `owner` names the task, to recognise one that waits for itself.
    /// An urgent request (a health check) is served before ordinary ones.
    case requested(WaiterID, deadline: PoolInstant, owner: UInt64? = nil, urgent: Bool = false)
    /// The waiter's task was cancelled. If the grant was decided first this is ignored, and the shell returns the lease.
    case cancelled(WaiterID)

    /// The connection is open and ready.
    case connected(ConnectionID)
    /// It is not, and nothing of it is left.
    case connectFailed(ConnectionID, ConnectFailureClass)
    /// The answer to ``PoolEffect/validate(_:)``.
    case validated(ConnectionID, Bool)
    /// The answer to ``PoolEffect/reset(_:)``.
    case resetFinished(ConnectionID, Bool)
    case returned(LeaseID, LeaseOutcome)
    /// The socket ended by itself. A leased connection is closed at its return, whatever its holder says then.
    case died(ConnectionID)
    /// The close has finished: the server no longer counts this connection.
    case gone(ConnectionID)

    /// The time of ``PoolStateMachine/nextDeadline`` has come. Harmless at any other time.
    case wokeUp

    case resized(size: Int, maxOverflow: Int?)
    /// Replace every connection that was opened, or began to be opened, before now.
    case invalidated
    /// The same, if this connection belongs to the present generation: a hundred failures at once count as one.
    case invalidatedBy(ConnectionID)
    /// Replace this one connection: now if it is idle, at its return if it is lent.
    case connectionInvalidated(ConnectionID)
    /// Open connections up to `minimumIdle`, at least one. Answered by ``PoolEffect/warmUpFinished(_:)``.
    case warmUp
    /// Refuse everybody, let leases end until `forceAt`, then cancel them. Asking again may only bring `forceAt` forward.
    case shutdown(forceAt: PoolInstant)
}

package enum ConnectFailureClass: Hashable, Sendable {
    /// Time may heal it: refused, timed out, unreachable, 53300 too many connections, 57P03 starting up.
    case transient
    /// Time alone will not: authentication, missing database, bad parameters.
    case permanent
}

/// What the holder, or rather the protocol's own status, says of a returned connection.
package enum LeaseOutcome: Hashable, Sendable {
    /// Outside any transaction, no session state left behind: ready for the next borrower.
    case clean
    /// Usable after a reset.
    case needsReset
    /// It works, and is not worth keeping. Closed.
    case spent
    /// To be closed.
    case broken
}

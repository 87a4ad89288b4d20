/// What the shell has to do, in order, outside its lock.
package enum PoolEffect: Hashable, Sendable {
    /// The waiter has its connection. `idleSince` is nil when it is fresh, just validated, or comes from another's hands.
    case grant(WaiterID, LeaseID, idleSince: PoolInstant?)
    /// The waiter gets none. Each waiter sees exactly one `grant` or `fail` (P3).
    case fail(WaiterID, PoolRefusal)

    /// Open it; answer `connected` or `connectFailed` within a deadline of your own. Nobody's giving up stops it.
    case connect(ConnectionID)
    /// Ask it for a sign of life; answer `validated` within a deadline of your own.
    case validate(ConnectionID)
    /// Make it fit for another borrower (ROLLBACK at least); answer `resetFinished` within a deadline of your own.
    case reset(ConnectionID)
    /// Close it, whatever it is doing, and answer `gone`. For one that is still connecting: give it up, and answer
    /// `connectFailed` or `gone`; if it turns out `connected` first, this effect comes once more.
    case close(ConnectionID, CloseReason)
    /// The shutdown's patience is over: end what the holder is doing, so that the lease comes back.
    case cancelLease(LeaseID)
    /// The lease is older than the leak threshold. Reported once per lease.
    case leakSuspected(LeaseID)

    /// Whether the pool reached its minimum. Ends every `warmUp` asked for so far.
    case warmUpFinished(Bool)
    /// Nothing is left (P11).
    case shutdownComplete
}

/// Why a waiter gets no connection.
package enum PoolRefusal: Hashable, Sendable {
    case timedOut(TimeoutCircumstances)
    case cancelled
    case tooManyWaiters
    case shutDown
    /// The server refuses connections; the shell knows the last cause.
    case connectFailed
}

/// What a request that timed out should say of itself.
package struct TimeoutCircumstances: Hashable, Sendable {
    /// Connecting failed lately; the cause belongs into the error.
    package var connectFailed: Bool
    /// The same task holds a lease of this pool: it may have waited for itself.
    package var ownerHoldsLease: Bool

    package init(connectFailed: Bool = false, ownerHoldsLease: Bool = false) {
        self.connectFailed = connectFailed
        self.ownerHoldsLease = ownerHoldsLease
    }
}

/// Why a connection is closed.
package enum CloseReason: UInt8, Hashable, Sendable {
    /// Its holder returned it as broken.
    case broken
    /// Its holder returned it as not worth keeping.
    case spent
    /// The socket ended by itself.
    case died
    case failedValidation, failedReset
    /// `maxLifetime` has passed.
    case expired
    case idleTimeout
    /// Returned while `size` others are idle.
    case overflow
    /// The pool was made smaller.
    case overCapacity
    case invalidated
    case shutDown
}

/// Told of what happens to an engine's connections: SQLAlchemy's pool events, typed. Every requirement has an empty default.
///
/// The hooks of a new connection are asynchronous and may run statements on it; a thrown error closes it and counts as a
/// failed connect, and so does not ending within the pool's `connectTimeout`. What they make of the connection (settings,
/// LISTEN, temporary tables, prepared statements) is there for every borrower: where cleaning up behind one would take it
/// away, the session is discarded whole and `onConnect` runs again.
///
/// All others are notifications: called outside the pool's lock, on the thread where the event happens, so they must not
/// block. For one connection the order is first connect (once per engine), connect, then for each use checkout, reset if
/// there was anything to reset, checkin, and at the end invalidate, if that was the reason, and close.
public protocol EngineObserver: Sendable {
    /// The engine's first connection, before anybody gets any. If it throws, the next connection is the first.
    func onFirstConnect(_ connection: sending Connection) async throws
    /// A new connection, before anybody gets it: `SET`, type registrations, checks of the server.
    func onConnect(_ connection: sending Connection) async throws
    /// A connection was lent.
    func didCheckOut(_ connection: ConnectionInfo)
    /// A lent connection is back.
    func didCheckIn(_ connection: ConnectionInfo)
    /// A connection was cleaned of what its last borrower left behind.
    func didReset(_ connection: ConnectionInfo)
    /// A connection will not be used again, for more than being too old, too many, or not needed.
    func didInvalidate(_ connection: ConnectionInfo, reason: String)
    /// A physical connection is gone.
    func didClose(_ connection: ConnectionInfo)
    /// An attempt to connect failed.
    func didFailToConnect(_ failure: ConnectFailure)
    /// A connection has been lent for longer than the leak threshold. Both tell where to look.
    func didSuspectLeak(_ connection: ConnectionInfo, origin: String, lastStatement: String?)
    /// A session was dropped without `close()`; its work is rolled back. `origin` is where it was made.
    func didDropSession(origin: String)
    /// A transaction's body is run again, for the `attempt`th time (the first is 1), because of the error. `origin` is where
    /// the transaction was made.
    func willRetry(attempt: Int, after error: any Error, origin: String)
    /// Whether this error means that the connection must not be used again; `verdict` is the library's own opinion.
    func isDisconnect(_ error: ServerError, verdict: Bool) -> Bool
}

extension EngineObserver {
    public func onFirstConnect(_ connection: sending Connection) async throws {}
    public func onConnect(_ connection: sending Connection) async throws {}
    public func didCheckOut(_ connection: ConnectionInfo) {}
    public func didCheckIn(_ connection: ConnectionInfo) {}
    public func didReset(_ connection: ConnectionInfo) {}
    public func didInvalidate(_ connection: ConnectionInfo, reason: String) {}
    public func didClose(_ connection: ConnectionInfo) {}
    public func didFailToConnect(_ failure: ConnectFailure) {}
    public func didSuspectLeak(_ connection: ConnectionInfo, origin: String, lastStatement: String?) {}
    public func didDropSession(origin: String) {}
    public func willRetry(attempt: Int, after error: any Error, origin: String) {}
    public func isDisconnect(_ error: ServerError, verdict: Bool) -> Bool { verdict }
}

/// Which physical connection an event is about.
public struct ConnectionInfo: Sendable, Hashable {
    /// The server's process, as in `pg_stat_activity.pid`.
    public let processID: Int
    /// Host and port as configured, with the address where a name was resolved.
    public let target: String
    /// Such as 150018.
    public let serverVersion: Int
}

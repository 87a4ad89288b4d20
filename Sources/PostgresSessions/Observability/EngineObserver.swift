/// Told of what happens to an engine's connections. Every requirement has an empty default.
///
/// Called outside the pool's lock, on whatever thread the event happens; an implementation must not block.
public protocol EngineObserver: Sendable {
    /// A physical connection stands.
    func didConnect(processID: Int)
    /// An attempt to connect failed.
    func didFailToConnect(_ failure: ConnectFailure)
    /// A physical connection is gone.
    func didClose(processID: Int, reason: String)
    /// A session was dropped without `close()`; its work was rolled back. `origin` is where it was made.
    func didDropSession(origin: String)
}

extension EngineObserver {
    public func didConnect(processID: Int) {}
    public func didFailToConnect(_ failure: ConnectFailure) {}
    public func didClose(processID: Int, reason: String) {}
    public func didDropSession(origin: String) {}
}

internal import PoolCore

extension Engine {
    /// One consistent snapshot of an engine's pool.
    public struct Statistics: Sendable, Hashable, CustomStringConvertible {
        /// Connections kept open, as configured or resized.
        public var size = 0
        /// How many more may be open under load; nil: no limit.
        public var maxOverflow: Int? = 0
        /// Open and unused.
        public var idle = 0
        /// Lent to a session or connection scope.
        public var leased = 0
        /// Being made.
        public var connecting = 0
        /// Being checked, cleaned or closed.
        public var inTransit = 0
        /// Tasks that wait for a connection.
        public var waiting = 0
        /// Connections made since the engine's start.
        public var opened = 0
        /// Connections closed since the engine's start.
        public var closed = 0
        /// Checkouts served since the engine's start.
        public var checkouts = 0
        /// Checkouts that waited in vain.
        public var timeouts = 0
        /// Attempts to connect that failed.
        public var connectFailures = 0
        /// Why the last attempt to connect failed, until one succeeds. Where none has failed: that one has been under way for
        /// longer than it should, and for how long.
        public var lastConnectFailure: String?

        /// In ``EngineError/checkoutTimedOut(_:)``: the task that waited holds a connection of this pool itself.
        public var waiterHoldsConnection = false

        init() {}

        public var description: String {
            let limit = maxOverflow.map { "\(size)+\($0)" } ?? "\(size)+unlimited"
            var text = "pool \(limit): \(idle) idle, \(leased) leased, \(connecting) connecting, \(waiting) waiting"
            if inTransit > 0 { text += ", \(inTransit) in transit" }
            text += "; \(opened) opened, \(closed) closed, \(checkouts) checkouts, \(timeouts) timeouts"
            if connectFailures > 0 { text += ", \(connectFailures) failed connects" }
            if let lastConnectFailure { text += "; last connect failure: \(lastConnectFailure)" }
            if waiterHoldsConnection {
                text += "; the task that waited holds a connection itself: a checkout inside another one's scope can"
                text += " wait for itself for ever when the pool is full"
            }
            return text
        }
    }
}

/// One consistent view of the pool's numbers.
package struct PoolSnapshot: Hashable, Sendable {
    package var size = 0
    /// nil: no limit.
    package var maxOverflow: Int?

    // Now. Their sum is the number of sockets that the server may count.
    package var idle = 0
    package var leased = 0
    package var connecting = 0
    package var validating = 0
    package var resetting = 0
    package var closing = 0
    package var waiting = 0

    // Since the beginning.
    package var opened: UInt64 = 0
    package var closed: UInt64 = 0
    package var checkouts: UInt64 = 0
    package var timeouts: UInt64 = 0
    package var cancelled: UInt64 = 0
    /// Requests refused without waiting: queue limit, shutdown, or an outage.
    package var refused: UInt64 = 0
    package var connectAttempts: UInt64 = 0
    package var connectFailures: UInt64 = 0
    package var generation: UInt64 = 0
    /// The last attempt to connect failed, and none has succeeded since.
    package var isServerRefusing = false
    package var isShutDown = false

    package init() {}

    package var live: Int { idle + leased + connecting + validating + resetting + closing }
}

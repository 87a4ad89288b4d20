/// The server refuses connections. While that lasts exactly one attempt is made at a time, later and later.
struct Outage: Hashable, Sendable {
    var since: PoolInstant
    var failures = 0
    var isPermanent = false
    var nextAttempt: PoolInstant
    /// The serial of the attempt that is under way. Failures of connects that began before the outage change nothing.
    var probe: UInt64?
    /// Somebody was refused since the last attempt: reason enough for the next one.
    var wasMissed = false

    /// An attempt begins. One that was due long ago, when nobody wanted a connection, begins a new count.
    mutating func attempt(_ serial: UInt64, at now: PoolInstant, tolerance: Int64?) {
        probe = serial
        wasMissed = false
        guard let tolerance, now - nextAttempt > tolerance else { return }
        since = now
        failures = 0
    }
}

extension PoolStateMachine {
    /// Waiting is pointless: nothing is open, and the server has refused for too long or for good. The first request
    /// after the back-off is let in, for it brings the next attempt.
    mutating func refusesAtOnce() -> Bool {
        guard let outage, isHopeless(outage) else { return false }
        if outage.probe == nil, outage.nextAttempt <= now { return false }
        self.outage?.wasMissed = true
        if outage.probe == nil { remind(at: outage.nextAttempt) }
        return true
    }

    private func isHopeless(_ outage: Outage) -> Bool {
        guard slots.usable == 0 else { return false }
        if outage.isPermanent { return true }
        guard let tolerance = configuration.outageTolerance else { return false }
        return now - outage.since >= tolerance
    }

    mutating func noteRefusal(of id: ConnectionID, _ failure: ConnectFailureClass, _ effects: inout PoolEffects) {
        var outage = self.outage ?? Outage(since: now, nextAttempt: now, probe: id.serial)
        guard outage.probe == id.serial else { return }
        outage.probe = nil
        outage.failures += 1
        outage.isPermanent = failure == .permanent
        outage.nextAttempt = now + drawDelay(after: outage)
        self.outage = outage
        if outage.isPermanent || isHopeless(outage) { failEveryWaiter(.connectFailed, &effects) }
    }

    private mutating func drawDelay(after outage: Outage) -> Int64 {
        let backoff = outage.isPermanent ? configuration.permanentBackoff : configuration.backoff
        let doublings = min(max(0, outage.failures - 1), 30)
        let (doubled, overflow) = backoff.base.multipliedReportingOverflow(by: 1 << Int64(doublings))
        let ceiling = overflow ? backoff.cap : min(backoff.cap, doubled)
        let spread = Int64(Double(ceiling - min(ceiling, backoff.base / 2)) * min(max(backoff.jitter, 0), 1))
        return ceiling - (spread > 0 ? Int64.random(in: 0...spread, using: &generator) : 0)
    }

    mutating func failEveryWaiter(_ refusal: PoolRefusal, _ effects: inout PoolEffects) {
        while let waiter = waiters.popFirst() {
            refusals += 1
            effects.append(.fail(waiter.id, refusal))
        }
    }
}

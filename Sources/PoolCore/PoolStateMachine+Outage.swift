/// The server refuses connections. While that lasts exactly one attempt is made at a time, later and later.
struct Outage: Hashable, Sendable {
    var since: PoolInstant
    var failures = 0
    var isPermanent = false
    /// For those who wait, or were refused.
    var nextAttempt: PoolInstant
    /// While nobody does, and only idle connections are short of their minimum. Never earlier.
    var nextForMinimum: PoolInstant
    /// The serial of the attempt that is under way. Failures of connects that began before the outage change nothing.
    var probe: UInt64?
    /// Somebody was refused since the last attempt: reason enough for the next one.
    var wasMissed = false

    /// An attempt begins. One that was due long ago, when nobody wanted a connection, begins a new count.
    mutating func attempt(_ serial: UInt64, at now: PoolInstant, tolerance: Int64?) {
        probe = serial
        wasMissed = false
        guard let tolerance, now - nextForMinimum > tolerance else { return }
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

    /// Soon for those who wait, so that nobody with a second's patience misses a server that is back.
    func nextAttempt(in outage: Outage) -> PoolInstant {
        let isAsked = !waiters.isEmpty || outage.wasMissed || isWarmingUp
        return isAsked ? outage.nextAttempt : outage.nextForMinimum
    }

    mutating func noteRefusal(of id: ConnectionID, _ failure: ConnectFailureClass, _ effects: inout PoolEffects) {
        var outage = self.outage ?? Outage(since: now, nextAttempt: now, nextForMinimum: now, probe: id.serial)
        guard outage.probe == id.serial else { return }
        outage.probe = nil
        outage.failures += 1
        outage.isPermanent = failure == .permanent
        let backoff = outage.isPermanent ? configuration.permanentBackoff : configuration.backoff
        let delay = drawDelay(backoff, upTo: backoff.capForWaiters, after: outage.failures)
        outage.nextAttempt = now + delay
        outage.nextForMinimum = now + max(delay, drawDelay(backoff, upTo: backoff.cap, after: outage.failures))
        self.outage = outage
        if outage.isPermanent || isHopeless(outage) { failEveryWaiter(.connectFailed, &effects) }
    }

    private mutating func drawDelay(
        _ backoff: PoolConfiguration.Backoff, upTo cap: Int64, after failures: Int
    ) -> Int64 {
        let doublings = min(max(0, failures - 1), 30)
        let (doubled, overflow) = backoff.base.multipliedReportingOverflow(by: 1 << Int64(doublings))
        let ceiling = overflow ? cap : min(cap, doubled)
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

/// The queue as it stood when growth was last decided.
struct Crowd: Hashable, Sendable {
    var size = 0
    /// Whoever has a later ticket came afterwards.
    var lastTicket: UInt64 = 0
    /// The pool's `checkouts` at that time, moved on by those that no returned connection has served.
    var checkouts: UInt64 = 0
}

// When the pool does not conclude that connections are missing, although somebody waits: what is there serves the queue,
// or the machine is so short of processor time that nothing can be concluded. A clock alone cannot tell these from want.
extension PoolStateMachine {
    /// Not shorter than a connect takes: where that is slow, so may be the work.
    var patience: Int64 { max(configuration.growth.patience, min(connectTime, configuration.growth.stall)) }

    /// Growth waits for the end of one patience, or of the crowd that waits now.
    mutating func rest() {
        restEnds = now + patience
        lookAtCrowd()
    }

    mutating func lookAtCrowd() {
        crowd = Crowd(size: waiters.count, lastTicket: waiters.lastTicket, checkouts: checkouts)
    }

    /// Where none is wanted, or none fits in.
    mutating func forgetCrowd() {
        crowd = Crowd(checkouts: checkouts)
        restEnds = now
    }

    /// Those who came later are another matter: under steady load the queue is never empty, and the pool is to grow.
    mutating func endRestIfCrowdIsServed() {
        if restEnds > now, !isSomeOfCrowdLeft { restEnds = now }
    }

    /// Whether a connection more would come too late to be of use.
    var isBetterToRest: Bool {
        let growth = configuration.growth
        guard slots.usable > 0, growth.patience > 0, waiters.urgent.count == 0, !waiters.isEmpty else { return false }
        if wantsBackgroundConnection { return false }
        let served = checkouts - crowd.checkouts
        if slots.coming < max(1, growth.warm) {
            // At this pace the rest of them needs about as long as another connect.
            return isSomeOfCrowdLeft && 4 * served >= UInt64(crowd.size)
        }
        return served > 0 && now < lastDeparture + growth.stall
    }

    private var isSomeOfCrowdLeft: Bool {
        waiters.firstOrdinaryTicket.map { $0 <= crowd.lastTicket } ?? false
    }

    /// The timer should have fired by now. What happened meanwhile may not have been told yet, so that growth is left to
    /// the timer, and that to one patience more; not for ever, since a machine may be slow for good.
    var isTimerLate: Bool {
        let growth = configuration.growth
        guard slots.usable > 0, !wantsBackgroundConnection, now < lastDeparture + growth.stall else { return false }
        return alarm + max(1, growth.patience / 4) < now
    }
}

// What the passing of time alone brings about.
extension PoolStateMachine {
    mutating func wakeUp(_ effects: inout PoolEffects) {
        expireWaiters(&effects)
        forceIfTimeIsUp(&effects)
        closeExpired(&effects)
        closeIdleForTooLong(&effects)
        reportLeaks(&effects)
        grow(&effects)
        alarm = earliestPromise()
    }

    mutating func expireWaiters(_ effects: inout PoolEffects) {
        while let waiter = waiters.popExpired(at: now) {
            timeouts += 1
            let circumstances = TimeoutCircumstances(
                connectFailed: outage != nil, ownerHoldsLease: holdsLease(waiter.owner))
            effects.append(.fail(waiter.id, .timedOut(circumstances)))
        }
    }

    private func holdsLease(_ owner: UInt64?) -> Bool {
        guard let owner else { return false }
        return slots.slots.contains { $0.state == .leased && $0.owner == owner }
    }

    private mutating func closeExpired(_ effects: inout PoolEffects) {
        for index in slots.slots.indices where slots[index].state == .idle && slots[index].expiresAt <= now {
            close(index, .expired, &effects)
        }
    }

    private mutating func closeIdleForTooLong(_ effects: inout PoolEffects) {
        guard let timeout = configuration.idleTimeout else { return }
        while slots.idle > configuration.minimumIdle, slots.oldestIdle >= 0 {
            let oldest = Int(slots.oldestIdle)
            guard slots[oldest].since + timeout <= now else { return }
            close(oldest, .idleTimeout, &effects)
        }
    }

    private mutating func reportLeaks(_ effects: inout PoolEffects) {
        guard let threshold = configuration.leakThreshold else { return }
        for index in slots.slots.indices where slots[index].state == .leased && !slots[index].leakReported {
            guard slots[index].since + threshold <= now else { continue }
            slots[index].leakReported = true
            effects.append(.leakSuspected(LeaseID(connection: slots.id(index), number: slots[index].lease)))
        }
    }

    /// The exact time of the next thing that time alone will bring about.
    mutating func earliestPromise() -> PoolInstant {
        var earliest = waiters.earliestDeadline() ?? .distantFuture
        if case .draining(let forceAt) = phase { earliest = min(earliest, forceAt) }
        if case .later(let instant) = growthDecision { earliest = min(earliest, instant) }
        if let timeout = configuration.idleTimeout, slots.idle > configuration.minimumIdle {
            earliest = min(earliest, slots[Int(slots.oldestIdle)].since + timeout)
        }
        guard configuration.maxLifetime != nil || configuration.leakThreshold != nil else { return earliest }
        for slot in slots.slots {
            if slot.state == .idle { earliest = min(earliest, slot.expiresAt) }
            if let threshold = configuration.leakThreshold, slot.state == .leased, !slot.leakReported {
                earliest = min(earliest, slot.since + threshold)
            }
        }
        return earliest
    }
}

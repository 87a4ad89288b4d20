import PoolCore

// Judging what the pool asks for, effect by effect.
extension Oracle {
    mutating func judge(
        _ effect: PoolEffect, of event: PoolEvent, newcomer: Waiting?, at now: PoolInstant
    ) throws(Violation) {
        switch effect {
        case .grant(let waiter, let lease, let idleSince):
            try judgeGrant(waiter, lease, idleSince, at: now)
        case .fail(let waiter, let refusal):
            try judgeRefusal(waiter, refusal, of: event, newcomer: newcomer, at: now)
        case .connect(let id): try judgeConnect(id, at: now)
        case .validate(let id):
            try expect(configuration.prePingAlways, "a ping that nobody configured")
            try move(id, to: .validating, ifIn: [.idle], at: now)
        case .reset(let id): try move(id, to: .resetting, ifIn: [.dirty], at: now)
        case .close(let id, .shutDown) where event == .connected(id) && isClosing(id): break  // given up, then opened
        case .close(let id, let reason): try judgeClose(id, reason, at: now)
        case .cancelLease(let lease):
            try expect(forceAt.map { $0 <= now } ?? false, "a lease was cancelled before its time")
            try expect(isLeased(lease), "P5: a lease was cancelled that is no more")
        case .leakSuspected(let lease):
            try expect(isLeased(lease), "P5: a lease was reported that is no more")
            guard let threshold = configuration.leakThreshold, let place = place(of: lease.connection) else {
                throw Violation(description: "a leak was reported that nobody configured")
            }
            try expect(records[place].since + threshold <= now, "a leak was reported too early")
            try expect(!reportedLeases.contains(lease.number), "a leak was reported twice")
            reportedLeases.append(lease.number)
        case .warmUpFinished:
            try expect(isWarmUpPending, "a warm-up was answered that nobody wanted")
            isWarmUpPending = false
        case .shutdownComplete:
            try expect(isDraining && records.isEmpty && waiting.isEmpty, "P11: shut down, and something is left")
            isComplete = true
        }
    }

    private func isClosing(_ id: ConnectionID) -> Bool {
        place(of: id).map { records[$0].state == .closing } ?? false
    }

    private func isLeased(_ lease: LeaseID) -> Bool {
        records.contains { $0.id == lease.connection && $0.state == .leased(lease.number) }
    }

    private mutating func judgeGrant(
        _ waiter: WaiterID, _ lease: LeaseID, _ idleSince: PoolInstant?, at now: PoolInstant
    ) throws(Violation) {
        try expect(!isDraining, "P11: granted while shutting down")
        guard let turn = waiting.firstIndex(where: { $0.id == waiter }) else {
            throw Violation(description: "P3: \(waiter) was granted and does not wait")
        }
        let isOvertaking = waiting[..<turn].contains { $0.isUrgent == waiting[turn].isUrgent }
        try expect(!isOvertaking, "P6: \(waiter) was served before those who came earlier")
        let isPassingUrgent = !waiting[turn].isUrgent && waiting.contains { $0.isUrgent }
        try expect(!isPassingUrgent, "P6: \(waiter) was served before an urgent one")
        guard let place = place(of: lease.connection) else {
            throw Violation(description: "P4: granted a connection that does not exist")
        }
        let record = records[place]
        try expect(!record.isCondemned, "P10: granted the condemned \(record.id)")
        switch record.state {
        case .idle:
            try expect(!configuration.prePingAlways, "granted without the ping that is configured")
            try expect(idleSince == record.since, "idle since \(record.since), said \(String(describing: idleSince))")
        case .ready: try expect(idleSince == nil, "fresh from another's hands, said to have been idle")
        default: throw Violation(description: "P5/P10: granted \(record.id) while it is \(record.state)")
        }
        try expect(lease.number > lastLease, "P5: lease numbers repeat")
        if let lifetime = configuration.maxLifetime, let openedAt = record.openedAt {
            try expect(now - openedAt < lifetime, "granted a connection past its lifetime")
        }
        lastLease = lease.number
        counters.checkouts += 1
        waiting.remove(at: turn)
        records[place].state = .leased(lease.number)
        records[place].since = now
    }

    private mutating func judgeRefusal(
        _ waiter: WaiterID, _ refusal: PoolRefusal, of event: PoolEvent, newcomer: Waiting?, at now: PoolInstant
    ) throws(Violation) {
        guard let turn = waiting.firstIndex(where: { $0.id == waiter }) else {
            throw Violation(description: "P3: \(waiter) was refused and does not wait")
        }
        switch refusal {
        case .timedOut(let circumstances):
            try expect(waiting[turn].deadline <= now, "timed out before the deadline")
            try expect(circumstances.connectFailed == isRefused, "the cause of the outage got lost")
            counters.timeouts += 1
        case .cancelled:
            try expect(event == .cancelled(waiter), "cancelled, and nobody asked")
            counters.cancelled += 1
        case .tooManyWaiters:
            guard let limit = configuration.maxWaiters, newcomer?.id == waiter else {
                throw Violation(description: "refused for a full queue that has no limit")
            }
            try expect(waiting.count > limit, "refused although the queue is not full")
            counters.refused += 1
        case .shutDown:
            try expect(isDraining, "refused as if shut down")
            counters.refused += 1
        case .connectFailed:
            try expect(isRefused, "refused as if the server did")
            let isDue = newcomer?.id == waiter && isAttemptOverdue(at: now)
            try expect(!isDue, "refused although it is time for the next attempt")
            counters.refused += 1
        }
        waiting.remove(at: turn)
    }

    /// While the server refuses, the next attempt for somebody who waits follows soon after the last one's failure. Only
    /// events upon which the pool has to look are judged, a timer and one more in the queue: others may come before a timer
    /// that is late.
    func judgePause(after event: PoolEvent, at now: PoolInstant) throws(Violation) {
        switch event {
        case .wokeUp: break
        case .requested(let id, _, _, _): guard waiting.contains(where: { $0.id == id }) else { return }
        default: return
        }
        guard !isDraining, !waiting.isEmpty, records.count < configuration.capacity else { return }
        try expect(!isAttemptOverdue(at: now), "P7: somebody waits, and the next attempt is overdue")
    }

    private func isAttemptOverdue(at now: PoolInstant) -> Bool {
        guard let lastFailure, count({ $0 == .connecting }) == 0 else { return false }
        return now - lastFailure.at >= lastFailure.pause
    }

    private mutating func judgeConnect(_ id: ConnectionID, at now: PoolInstant) throws(Violation) {
        try expect(!isDraining, "P11: a connect while shutting down")
        try expect(id.serial > lastSerial, "P4: connection serials repeat")
        try expect(!records.contains { $0.id.slot == id.slot }, "P4: slot \(id.slot) is taken")
        let hasUrgent = waiting.contains { $0.isUrgent }
        let reserve = hasUrgent ? configuration.urgentReserve : 0
        try expect(
            records.count - reserve < configuration.capacity,
            "P1: connection \(records.count + 1) of \(configuration.capacity)")
        if let last = lastRefusedAttempt {
            try expect(
                now - last >= configuration.backoff.base / 2, "a connection storm: two attempts in \(now - last) ns")
            lastRefusedAttempt = now
        }
        lastSerial = id.serial
        counters.attempts += 1
        records.append(Record(id: id, state: .connecting, since: now, generation: generation))
    }

    private mutating func judgeClose(_ id: ConnectionID, _ reason: CloseReason, at now: PoolInstant) throws(Violation) {
        guard let place = place(of: id), records[place].state != .closing else {
            throw Violation(description: "P4: \(id) is closed twice, or never was open")
        }
        let record = records[place]
        if case .leased = record.state {
            throw Violation(description: "P5: \(id) is closed in its holder's hands")
        }
        let idle = count { $0 == .idle }
        let open = count { $0 != .closing }
        switch reason {
        case .broken, .failedValidation, .failedReset:
            try expect(record.state == .broken, "closed as \(reason), but it is sound")
        case .spent: try expect(record.state == .spent, "closed as spent, but nobody said so")
        case .died, .invalidated: try expect(record.isCondemned, "closed as \(reason), but nobody condemned it")
        case .expired:
            guard let lifetime = configuration.maxLifetime, let openedAt = record.openedAt else {
                throw Violation(description: "closed as expired, but lifetimes are unlimited")
            }
            let shortest = Double(lifetime) * (1 - configuration.lifetimeJitter)
            try expect(Double(now - openedAt) >= shortest, "closed as expired too early")
        case .idleTimeout:
            guard let timeout = configuration.idleTimeout else {
                throw Violation(description: "closed as idle, but idling is unlimited")
            }
            try expect(record.state == .idle && now - record.since >= timeout, "closed as idle too early")
            try expect(idle > configuration.minimumIdle, "closed below the minimum of idle connections")
        case .overflow: try expect(idle >= configuration.size && waiting.isEmpty, "closed as surplus, but it is needed")
        case .overCapacity:
            try expect(
                open > configuration.capacity || idle > configuration.size, "closed, but the pool is not too large")
        case .shutDown: try expect(isDraining, "closed as if shut down")
        }
        records[place].state = .closing
        records[place].since = now
    }

    private mutating func move(
        _ id: ConnectionID, to state: State, ifIn states: [State], at now: PoolInstant
    ) throws(Violation) {
        guard let place = place(of: id), states.contains(records[place].state) else {
            throw Violation(description: "P10: \(id) cannot become \(state)")
        }
        records[place].state = state
        records[place].since = now
    }
}

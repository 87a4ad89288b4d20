// Borrowing and giving back.
extension PoolStateMachine {
    @inline(__always)
    mutating func request(
        _ waiter: WaiterID, deadline: PoolInstant, owner: UInt64?, isUrgent: Bool, _ effects: inout PoolEffects
    ) {
        guard let loan = lendIdle(owner: owner) else {
            return requestSlowly(waiter, deadline: deadline, owner: owner, isUrgent: isUrgent, &effects)
        }
        effects.append(.grant(waiter, loan.lease, idleSince: loan.idleSince))
        replenish(&effects)
    }

    /// Whether anything is idle; without that, `lendIdle` lends nothing.
    @inline(__always)
    package var hasIdle: Bool { slots.idle > 0 }

    /// What `requested` grants without delay, for somebody who has not become a waiter. nil: ask by that event.
    @inline(__always)
    package mutating func lendIdle(
        owner: UInt64?, at instant: PoolInstant, into effects: inout PoolEffects
    ) -> (lease: LeaseID, idleSince: PoolInstant)? {
        if instant > now { now = instant }
        guard let loan = lendIdle(owner: owner) else { return nil }
        replenish(&effects)
        return loan
    }

    @inline(__always)
    private mutating func lendIdle(owner: UInt64?) -> (lease: LeaseID, idleSince: PoolInstant)? {
        guard slots.idle > 0, phase == .open, !configuration.prePingAlways else { return nil }
        let index = Int(configuration.order == .lifo ? slots.newestIdle : slots.oldestIdle)
        guard slots[index].expiresAt > now else { return nil }
        let idleSince = slots[index].since
        return (lend(index, owner: owner), idleSince)
    }

    /// As `grow`, where it can change anything: while nobody waits, there has to be room.
    @inline(__always)
    private mutating func replenish(_ effects: inout PoolEffects) {
        guard slots.idle < configuration.minimumIdle else { return }
        if slots.live < configuration.capacity || !waiters.isEmpty { grow(&effects) }
    }

    @inline(never)
    private mutating func requestSlowly(
        _ waiter: WaiterID, deadline: PoolInstant, owner: UInt64?, isUrgent: Bool, _ effects: inout PoolEffects
    ) {
        guard phase == .open else { return refuse(waiter, .shutDown, &effects) }
        if let index = takeFreshIdle(&effects) {
            guard configuration.prePingAlways else {
                let idleSince = slots[index].since
                lend(index, to: waiter, owner: owner, idleSince: idleSince, &effects)
                return grow(&effects)
            }
            validate(index, &effects)
        } else {
            if refusesAtOnce() { return refuse(waiter, .connectFailed, &effects) }
            if !isUrgent, isQueueFull { return refuse(waiter, .tooManyWaiters, &effects) }
        }
        waiters.append(waiter, deadline: deadline, owner: owner, isUrgent: isUrgent)
        remind(at: deadline)
        grow(&effects)
        if deadline <= now { expireWaiters(&effects) }
    }

    /// The next idle slot by the configured order; those past their lifetime are closed on the way.
    mutating func takeFreshIdle(_ effects: inout PoolEffects) -> Int? {
        while slots.idle > 0 {
            let index = Int(configuration.order == .lifo ? slots.newestIdle : slots.oldestIdle)
            if slots[index].expiresAt > now { return index }
            close(index, .expired, &effects)
        }
        return nil
    }

    mutating func validate(_ index: Int, _ effects: inout PoolEffects) {
        slots.move(index, to: .validating, at: now)
        lastDeparture = now
        effects.append(.validate(slots.id(index)))
    }

    /// A waiter for whom a connection is on its way, or may set out, does not count against the limit.
    private var isQueueFull: Bool {
        guard let limit = configuration.maxWaiters else { return false }
        let room = max(0, configuration.capacity - slots.live)
        return waiters.count - slots.coming - room >= limit
    }

    private mutating func refuse(_ waiter: WaiterID, _ refusal: PoolRefusal, _ effects: inout PoolEffects) {
        refusals += 1
        effects.append(.fail(waiter, refusal))
    }

    private mutating func lend(
        _ index: Int, to waiter: WaiterID, owner: UInt64?, idleSince: PoolInstant?, _ effects: inout PoolEffects
    ) {
        effects.append(.grant(waiter, lend(index, owner: owner), idleSince: idleSince))
    }

    @inline(__always)
    private mutating func lend(_ index: Int, owner: UInt64?) -> LeaseID {
        checkouts += 1
        slots.move(index, to: .leased, at: now)
        slots[index].lease = checkouts
        slots[index].owner = owner
        slots[index].leakReported = false
        if let threshold = configuration.leakThreshold { remind(at: now + threshold) }
        return LeaseID(connection: slots.id(index), number: checkouts)
    }

    mutating func cancel(_ waiter: WaiterID, _ effects: inout PoolEffects) {
        guard waiters.remove(waiter) != nil else { return }
        cancellations += 1
        effects.append(.fail(waiter, .cancelled))
    }

    /// What the event `returned` brings about, in fewer instructions.
    @inline(__always)
    package mutating func giveBack(
        _ lease: LeaseID, _ outcome: LeaseOutcome, at instant: PoolInstant, into effects: inout PoolEffects
    ) {
        if instant > now { now = instant }
        giveBack(lease, outcome, &effects)
    }

    @inline(__always)
    mutating func giveBack(_ lease: LeaseID, _ outcome: LeaseOutcome, _ effects: inout PoolEffects) {
        guard let index = slots.index(of: lease.connection),
            slots[index].state == .leased, slots[index].lease == lease.number
        else { return }  // P5
        switch outcome {
        case .clean: settle(index, &effects)
        case .needsReset: reset(index, &effects)
        case .spent: end(index, .spent, &effects)
        case .broken: end(index, .broken, &effects)
        }
    }

    @inline(never)
    private mutating func end(_ index: Int, _ reason: CloseReason, _ effects: inout PoolEffects) {
        close(index, slots[index].condemned ?? reason, &effects)
        grow(&effects)
    }

    @inline(never)
    private mutating func reset(_ index: Int, _ effects: inout PoolEffects) {
        if let reason = reasonToClose(index) {
            close(index, reason, &effects)
            return grow(&effects)
        }
        slots.move(index, to: .resetting, at: now)
        lastDeparture = now
        effects.append(.reset(slots.id(index)))
    }

    /// Decides for a connection that is ready for use.
    @inline(__always)
    mutating func settle(_ index: Int, _ effects: inout PoolEffects) {
        if let reason = reasonToClose(index) {
            close(index, reason, &effects)
            grow(&effects)
        } else if !waiters.isEmpty {
            handOver(index, &effects)
        } else if slots.idle < configuration.size {
            park(index)
        } else {
            close(index, .overflow, &effects)
        }
    }

    @inline(never)
    private mutating func handOver(_ index: Int, _ effects: inout PoolEffects) {
        guard let waiter = waiters.popFirst() else { return }
        lend(index, to: waiter.id, owner: waiter.owner, idleSince: nil, &effects)
    }

    @inline(__always)
    private mutating func park(_ index: Int) {
        slots.move(index, to: .idle, at: now)
        slots[index].owner = nil
        remind(at: slots[index].expiresAt)
        if let timeout = configuration.idleTimeout, slots.idle > configuration.minimumIdle {
            remind(at: slots[Int(slots.oldestIdle)].since + timeout)
        }
    }

    /// Why a connection that is ready must not be used any more, if so.
    @inline(__always)
    private func reasonToClose(_ index: Int) -> CloseReason? {
        if let reason = slots[index].condemned { return reason }
        if slots[index].generation != generation { return .invalidated }
        if slots[index].expiresAt <= now { return .expired }
        if phase != .open { return .shutDown }
        // After a resize, or when it was opened from the reserve for urgent requests.
        if slots.open > configuration.capacity {
            let isReserve = waiters.urgent.count > 0 && slots.open <= ceilingForUrgent
            if !isReserve { return .overCapacity }
        }
        return nil
    }
}

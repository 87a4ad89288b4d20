// Ending connections, one or all.
extension PoolStateMachine {
    mutating func close(_ index: Int, _ reason: CloseReason, _ effects: inout PoolEffects) {
        slots.move(index, to: .closing, at: now)
        slots[index].owner = nil
        effects.append(.close(slots.id(index), reason))
    }

    mutating func closeFinished(_ id: ConnectionID, _ effects: inout PoolEffects) {
        guard let index = slots.index(of: id), slots[index].state == .closing else { return }  // P9
        if slots[index].wasOpened { closed += 1 }
        if outage?.probe == id.serial { outage?.probe = nil }
        free(index)
        finishShutdownIfEmpty(&effects)
        grow(&effects)
    }

    mutating func free(_ index: Int) {
        slots.release(index)
        ceiling = max(configuration.capacity, slots.live)
    }

    mutating func socketEnded(_ id: ConnectionID, _ effects: inout PoolEffects) {
        condemn(id, .died, &effects)
    }

    /// Closes a connection as soon as nobody uses it.
    mutating func condemn(_ id: ConnectionID, _ reason: CloseReason, _ effects: inout PoolEffects) {
        guard let index = slots.index(of: id) else { return }
        switch slots[index].state {
        case .idle:
            close(index, reason, &effects)
            grow(&effects)
        case .leased:
            if slots[index].condemned != .died { slots[index].condemned = reason }
        case .validating, .resetting:
            // Its own answer is on the way, with a deadline; a dead socket answers by failing.
            if slots[index].condemned != .died { slots[index].condemned = reason }
        case .connecting:
            if reason == .invalidated { slots[index].condemned = reason }
        case .closing, .free: break
        }
    }

    mutating func invalidateAll(becauseOf id: ConnectionID, _ effects: inout PoolEffects) {
        guard let index = slots.index(of: id), slots[index].generation == generation else { return }
        invalidateAll(&effects)
    }

    mutating func invalidateAll(_ effects: inout PoolEffects) {
        guard phase == .open else { return }
        generation += 1
        while slots.oldestIdle >= 0 { close(Int(slots.oldestIdle), .invalidated, &effects) }
        grow(&effects)
    }

    mutating func resize(_ size: Int, _ maxOverflow: Int?, _ effects: inout PoolEffects) {
        precondition(size > 0, "a pool keeps at least one connection")
        precondition((maxOverflow ?? 0) >= 0, "maxOverflow is negative")
        configuration.size = size
        configuration.maxOverflow = maxOverflow
        ceiling = max(configuration.capacity, slots.live)
        while slots.idle > size { close(Int(slots.oldestIdle), .overCapacity, &effects) }
        while slots.open > configuration.capacity, slots.idle > 0 {
            close(Int(slots.oldestIdle), .overCapacity, &effects)
        }
        finishWarmUpIfTargetShrank(&effects)
        grow(&effects)
    }

    private mutating func finishWarmUpIfTargetShrank(_ effects: inout PoolEffects) {
        if isWarmingUp, slots.usable >= warmUpTarget { finishWarmUp(true, &effects) }
    }

    // MARK: - Shutdown

    mutating func shutDown(forceAt: PoolInstant, _ effects: inout PoolEffects) {
        switch phase {
        case .shutDown: return effects.append(.shutdownComplete)
        case .forced: return
        case .draining(let earlier): phase = .draining(forceAt: min(earlier, forceAt))
        case .open:
            phase = .draining(forceAt: forceAt)
            failEveryWaiter(.shutDown, &effects)
            finishWarmUp(false, &effects)
            for index in slots.slots.indices {
                switch slots[index].state {
                case .idle, .connecting, .validating, .resetting: close(index, .shutDown, &effects)
                case .free, .leased, .closing: break
                }
            }
        }
        remind(at: forceAt)
        forceIfTimeIsUp(&effects)
        finishShutdownIfEmpty(&effects)
    }

    mutating func forceIfTimeIsUp(_ effects: inout PoolEffects) {
        guard case .draining(let forceAt) = phase, forceAt <= now else { return }
        phase = .forced
        for index in slots.slots.indices where slots[index].state == .leased {
            effects.append(.cancelLease(LeaseID(connection: slots.id(index), number: slots[index].lease)))
        }
    }

    private mutating func finishShutdownIfEmpty(_ effects: inout PoolEffects) {
        guard phase != .open, phase != .shutDown, slots.live == 0 else { return }
        phase = .shutDown
        outage = nil
        alarm = .distantFuture  // P11
        effects.append(.shutdownComplete)
    }
}

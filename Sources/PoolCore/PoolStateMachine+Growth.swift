// Opening connections: when, how many at once, and what their answers mean.
extension PoolStateMachine {
    enum GrowthDecision: Hashable {
        case enough, connect
        case later(PoolInstant)
    }

    /// Opens what is wanted and allowed now, and remembers when to look again. Called after every event that may have
    /// changed demand, supply or room (P7).
    @inline(never)
    mutating func grow(_ effects: inout PoolEffects) {
        while slots.idle > 0, waiters.count > slots.coming, let index = takeFreshIdle(&effects) {
            validate(index, &effects)  // P2, after a ping that failed
        }
        while true {
            switch growthDecision {
            case .enough: return
            case .later(let instant): return remind(at: instant)
            case .connect: connect(&effects)
            }
        }
    }

    var growthDecision: GrowthDecision {
        guard phase == .open, wantsConnection else { return .enough }
        if let outage {
            if outage.probe != nil { return .enough }
            let next = nextAttempt(in: outage)
            return next <= now ? .connect : .later(next)
        }
        let growth = configuration.growth
        if isEveryWaiterCovered {
            let stalls = lastDeparture + growth.stall
            return stalls <= now ? .connect : .later(stalls)
        }
        let isCold = slots.usable == 0
        if slots.coming < max(1, isCold ? growth.cold : growth.warm) { return .connect }
        let patienceEnds = lastDeparture + (isCold ? growth.coldPatience : growth.patience)
        return patienceEnds <= now ? .connect : .later(patienceEnds)
    }

    /// Somebody would have use for one more connection, and there is room for it.
    private var wantsConnection: Bool {
        if slots.live < configuration.capacity {
            if !waiters.isEmpty || outage?.wasMissed == true || wantsBackgroundConnection { return true }
        }
        return waiters.urgent.count > 0 && slots.live < ceilingForUrgent
    }

    private var wantsBackgroundConnection: Bool {
        if isWarmingUp, slots.open < warmUpTarget { return true }
        let spare = slots.idle + max(0, slots.coming - waiters.count)
        return slots.live < configuration.size && spare < configuration.minimumIdle
    }

    /// For each waiter a connection is under way, and nothing else calls for one.
    private var isEveryWaiterCovered: Bool {
        if waiters.isEmpty || wantsBackgroundConnection { return false }
        let isRoomForAll = slots.live < configuration.capacity
        return (isRoomForAll ? waiters.count : waiters.urgent.count) <= slots.coming
    }

    /// How many sockets may exist while urgent requests wait.
    var ceilingForUrgent: Int {
        let (sum, overflow) = configuration.capacity.addingReportingOverflow(configuration.urgentReserve)
        return overflow ? .max : sum
    }

    private mutating func connect(_ effects: inout PoolEffects) {
        let index = slots.allocate(generation: generation, at: now)
        lastDeparture = now
        connectAttempts += 1
        outage?.attempt(slots[index].serial, at: now, tolerance: configuration.outageTolerance)
        effects.append(.connect(slots.id(index)))
    }

    mutating func connectSucceeded(_ id: ConnectionID, _ effects: inout PoolEffects) {
        guard let index = slots.index(of: id), !slots[index].wasOpened else { return }
        opened += 1
        slots[index].wasOpened = true
        if slots[index].state == .closing {
            // It opened while it was being given up: whoever performs effects has something to close only now.
            return effects.append(.close(id, .shutDown))
        }
        slots[index].expiresAt = drawExpiry()
        outage = nil
        settle(index, &effects)
        finishWarmUpIfReached(&effects)
        grow(&effects)
    }

    private mutating func drawExpiry() -> PoolInstant {
        guard let lifetime = configuration.maxLifetime else { return .distantFuture }
        let spread = Int64(Double(lifetime) * min(max(configuration.lifetimeJitter, 0), 1))
        return now + (lifetime - (spread > 0 ? Int64.random(in: 0...spread, using: &generator) : 0))
    }

    mutating func connectFailed(_ id: ConnectionID, _ failure: ConnectFailureClass, _ effects: inout PoolEffects) {
        guard let index = slots.index(of: id) else { return }
        if slots[index].state == .closing { return closeFinished(id, &effects) }
        guard slots[index].state == .connecting else { return }
        connectFailures += 1
        free(index)
        noteRefusal(of: id, failure, &effects)
        finishWarmUp(false, &effects)
        grow(&effects)
    }

    mutating func validationFinished(_ id: ConnectionID, _ alive: Bool, _ effects: inout PoolEffects) {
        guard let index = slots.index(of: id), slots[index].state == .validating else { return }
        if alive {
            settle(index, &effects)
        } else {
            close(index, slots[index].condemned ?? .failedValidation, &effects)
        }
        grow(&effects)
    }

    mutating func resetFinished(_ id: ConnectionID, _ success: Bool, _ effects: inout PoolEffects) {
        guard let index = slots.index(of: id), slots[index].state == .resetting else { return }
        if success {
            settle(index, &effects)
        } else {
            close(index, slots[index].condemned ?? .failedReset, &effects)
        }
        grow(&effects)
    }

    // MARK: - Warming up

    var warmUpTarget: Int {
        min(max(1, min(configuration.minimumIdle, configuration.size)), configuration.capacity)
    }

    mutating func beginWarmUp(_ effects: inout PoolEffects) {
        guard phase == .open else { return effects.append(.warmUpFinished(false)) }
        isWarmingUp = true
        finishWarmUpIfReached(&effects)
        grow(&effects)
    }

    private mutating func finishWarmUpIfReached(_ effects: inout PoolEffects) {
        if isWarmingUp, slots.usable >= warmUpTarget { finishWarmUp(true, &effects) }
    }

    mutating func finishWarmUp(_ success: Bool, _ effects: inout PoolEffects) {
        guard isWarmingUp else { return }
        isWarmingUp = false
        effects.append(.warmUpFinished(success))
    }
}

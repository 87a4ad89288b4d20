/// What a test or a simulation may see of a connection.
package struct ConnectionView: Hashable, Sendable {
    package enum State: UInt8, Hashable, Sendable {
        case connecting, validating, idle, leased, resetting, closing
    }

    package let id: ConnectionID
    package let state: State
    /// Of a leased connection.
    package let lease: LeaseID?
    package let wasOpened: Bool
}

// The inside of the machine, read only, for checkers. Linear time.
extension PoolStateMachine {
    package var connections: [ConnectionView] {
        slots.slots.indices.compactMap { index in
            let slot = slots[index]
            let state: ConnectionView.State
            switch slot.state {
            case .free: return nil
            case .connecting: state = .connecting
            case .validating: state = .validating
            case .idle: state = .idle
            case .leased: state = .leased
            case .resetting: state = .resetting
            case .closing: state = .closing
            }
            let lease = slot.state == .leased ? LeaseID(connection: slots.id(index), number: slot.lease) : nil
            return ConnectionView(id: slots.id(index), state: state, lease: lease, wasOpened: slot.wasOpened)
        }
    }

    /// In the order in which they will be served.
    package var waitingIDs: [WaiterID] { waiters.inOrder.map(\.id) }

    /// The exact time of the next thing that time alone will bring about, where ``nextDeadline`` may be early.
    package var exactDeadline: PoolInstant? {
        var copy = self
        let promise = copy.earliestPromise()
        return promise == .distantFuture ? nil : promise
    }

    /// Equal for states that behave alike from now on: connections and waiters are renamed, times are relative to now
    /// and forgotten where only their being past matters; counters, chance and the early alarm are left out.
    /// Meaningful for configurations without jitter.
    package var fingerprint: [Int64] {
        var print: [Int64] = [phaseCode, Int64(configuration.size), Int64(configuration.maxOverflow ?? -1)]
        print.append(isWarmingUp ? 1 : 0)
        print.append(Int64(ceiling - configuration.capacity))
        print.append(
            slots.coming == 0
                ? 0 : age(lastDeparture, upTo: max(configuration.growth.patience, configuration.growth.stall)))
        print += outageCode
        let codes = slots.slots.indices.filter { slots[$0].state != .free && slots[$0].state != .idle }.map(slotCode)
        for code in codes.sorted(by: { $0.lexicographicallyPrecedes($1) }) { print += code }
        print.append(.min)
        var place = slots.oldestIdle
        while place >= 0 {
            print += slotCode(Int(place))
            place = slots[Int(place)].newer
        }
        print.append(.min)
        for waiter in waiters.inOrder {
            print += [waiter.deadline - now, waiter.isUrgent ? 1 : 0, Int64(waiter.owner ?? 0)]
        }
        return print
    }

    private func age(_ instant: PoolInstant, upTo limit: Int64) -> Int64 {
        instant + limit <= now ? limit : now - instant
    }

    private var phaseCode: Int64 {
        switch phase {
        case .open: -1
        case .draining(let forceAt): max(0, forceAt - now)
        case .forced: -2
        case .shutDown: -3
        }
    }

    private var outageCode: [Int64] {
        guard let outage else { return [0] }
        let backoff = outage.isPermanent ? configuration.permanentBackoff : configuration.backoff
        var failures = 0
        while failures < min(outage.failures, 30), backoff.base << Int64(failures) < backoff.cap { failures += 1 }
        let tolerance = configuration.outageTolerance ?? 0
        return [
            1, age(outage.since, upTo: tolerance), Int64(failures), outage.isPermanent ? 1 : 0,
            outage.probe == nil ? max(-tolerance - 1, outage.nextAttempt - now) : 0,
            outage.probe == nil ? max(-tolerance - 1, outage.nextForMinimum - now) : 0,
            outage.probe == nil ? 0 : 1, outage.wasMissed ? 1 : 0,
        ]
    }

    private func slotCode(_ index: Int) -> [Int64] {
        let slot = slots[index]
        var code = [Int64(slot.state.rawValue), Int64(slot.condemned?.rawValue ?? 99)]
        code.append(slot.generation == generation ? 1 : 0)
        code.append(outage?.probe == slot.serial ? 1 : 0)
        if slot.state == .closing { code.append(slot.wasOpened ? 1 : 0) }
        if slot.state != .closing { code.append(slot.expiresAt == .distantFuture ? 0 : max(0, slot.expiresAt - now)) }
        if slot.state == .idle, let timeout = configuration.idleTimeout { code.append(age(slot.since, upTo: timeout)) }
        if slot.state == .leased {
            code.append(Int64(slot.owner ?? 0))
            if let threshold = configuration.leakThreshold {
                code.append(slot.leakReported ? -1 : age(slot.since, upTo: threshold))
            }
        }
        return code
    }
}

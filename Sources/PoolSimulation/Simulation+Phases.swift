import PoolCore

// The course of a run: chaos, healing, recovery, shutdown; and what was seen on the way.
extension Simulation {
    mutating func planChaos() {
        let length = scenario.chaosEnds
        var arrival: Int64 = 0
        for number in 0..<scenario.requests {
            let isStorm = scenario.storms && choices.sometimes(0.9)
            if !isStorm { arrival = choices.time(0...length) }
            let client = newClient(owner: UInt64(number), isUrgent: choices.sometimes(scenario.isUrgent))
            plan(.arrives(client), in: arrival)
        }
        for _ in 0..<scenario.outages {
            let start = choices.time(0...length)
            plan(.weather(choices.pick([.refusing, .silent, .rejectingPassword])), in: start)
            plan(.weather(.fine), in: start + choices.time(.milliseconds(10)...Int64.seconds(8)))
        }
        for _ in 0..<scenario.restarts { plan(.restart, in: choices.time(0...length)) }
        for _ in 0..<scenario.deaths { plan(.killsSomebody, in: choices.time(0...length)) }
        for _ in 0..<scenario.resizes {
            let event = PoolEvent.resized(size: choices.number(1...6), maxOverflow: choices.pick([0, 0, 2, nil]))
            plan(.administration(event), in: choices.time(0...length))
        }
        for _ in 0..<scenario.invalidations { plan(.administration(.invalidated), in: choices.time(0...length)) }
        for _ in 0..<scenario.warmUps { plan(.asksForWarmUp, in: choices.time(0...length)) }
        for _ in 0..<scenario.clockJumps {
            plan(.clockJumps(choices.time(0...Int64.seconds(3))), in: choices.time(0...length))
        }
        for _ in 0..<5 { plan(.administration(.wokeUp), in: choices.time(0...length)) }
        if scenario.shutsDownInChaos {
            let grace = choices.time(0...Int64.seconds(3))
            let start = choices.time(length / 2...length)
            plan(.administration(.shutdown(forceAt: now + (start + grace))), in: start)
        }
    }

    /// The faults end: the server is well, leaked leases come back, nobody new arrives by himself.
    mutating func heal() {
        guard promise == nil else { return }
        isHealed = true
        scenario.heal()
        server.weather = .fine
        server.maxConnections = .max
        for lease in leases { plan(.finishesWork(lease), in: choices.time(0...Int64.milliseconds(10))) }
    }

    /// Within the longest timeout, back-off and connect everybody must have had an answer.
    mutating func settle() {
        run(until: now + .seconds(20))
        scenario.connectTime = .milliseconds(1)...Int64.milliseconds(50)
        let snapshot = machine.snapshot
        guard promise == nil else { return }
        if snapshot.waiting > 0 || snapshot.leased > 0 { promise = "P7: \(snapshot) long after the faults ended" }
        if oracle.hasStalled(before: now - .seconds(5)) { promise = "P9: something has been on its way for too long" }
    }

    /// A healed pool serves at once what it has, and one more after at most one attempt: that also ends its belief in
    /// an outage.
    mutating func checkRecovery() {
        guard promise == nil, !machine.snapshot.isShutDown else { return }
        let before = machine.snapshot
        scenario.holdTime = .seconds(2)...Int64.seconds(2)
        let requests = min(before.idle + 1, machine.configuration.capacity)
        for _ in 0..<requests {
            let client = newClient()
            waiting.append(client)
            send(.requested(client.waiter, deadline: now + .milliseconds(1900)))
        }
        run(until: now + .seconds(5))
        guard promise == nil else { return }
        let after = machine.snapshot
        if after.checkouts != before.checkouts + UInt64(requests) {
            promise = "P7: the server is well, and somebody waits"
        }
        if after.isServerRefusing, requests > before.idle { promise = "the pool still believes in an outage" }
        checkReadiness()
    }

    /// Lifetimes end by chance, and those that end together are replaced one after the other: soon all are ready.
    private mutating func checkReadiness() {
        var ready = 0
        for _ in 0..<20 where promise == nil {
            let snapshot = machine.snapshot
            ready = snapshot.idle + snapshot.connecting + snapshot.closing  // one may be in the midst of being replaced
            if ready >= min(scenario.configuration.minimumIdle, snapshot.size) { return }
            run(until: now + .milliseconds(50))
        }
        if promise == nil { promise = "only \(ready) idle connections are kept ready" }
    }

    mutating func checkShutdown() {
        send(.shutdown(forceAt: now))
        run(until: now + .seconds(30))
        guard promise == nil else { return }
        if !machine.snapshot.isShutDown { promise = "P11: the shutdown does not end: \(machine.snapshot)" }
        if !server.backends.isEmpty { promise = "P4: \(server.backends.count) sockets were never closed" }
        if !waiting.isEmpty { promise = "P3: \(waiting.count) clients never had an answer" }
    }

    // MARK: - Marks

    mutating func note(_ event: PoolEvent, _ effects: [PoolEffect], _ before: PoolSnapshot) {
        for effect in effects { note(effect) }
        switch event {
        case .wokeUp: if effects.isEmpty { marks.insert(.wokenTooEarly) }
        case .connected:
            if before.isServerRefusing { marks.insert(.recovered) }
            if before.waiting == 0, before.connecting > 0 { marks.insert(.connectOutlivedItsCaller) }
        case .connectFailed(_, .permanent): marks.insert(.connectFailedForGood)
        case .died(let id):
            let isLent = machine.connections.contains { $0.id == id && $0.state == .leased }
            if isLent { marks.insert(.diedWhileLent) }
        case .shutdown: if !isHealed { marks.insert(.shutDownInChaos) }
        default: break
        }
        if machine.snapshot.live > machine.configuration.capacity, machine.configuration.urgentReserve > 0 {
            marks.insert(.reserveUsed)
        }
    }

    private mutating func note(_ effect: PoolEffect) {
        switch effect {
        case .grant(_, _, let idleSince):
            marks.insert(idleSince == nil ? .grantedFreshOrHandedOver : .grantedAtOnceFromIdle)
        case .fail(_, let refusal): marks.insert(mark(of: refusal))
        case .close(_, let reason): marks.insert(mark(of: reason))
        case .cancelLease: marks.insert(.leaseCancelledByShutdown)
        case .leakSuspected: marks.insert(.leakSuspected)
        case .warmUpFinished(let success): marks.insert(success ? .warmedUp : .warmUpFailed)
        case .connect, .validate, .reset, .shutdownComplete: break
        }
    }

    private func mark(of refusal: PoolRefusal) -> Mark {
        switch refusal {
        case .timedOut(let circumstances):
            if circumstances.ownerHoldsLease { return .timedOutWaitingForItself }
            return circumstances.connectFailed ? .timedOutDuringOutage : .timedOut
        case .cancelled: return .cancelled
        case .tooManyWaiters: return .refusedByFullQueue
        case .shutDown: return .refusedByShutdown
        case .connectFailed: return .refusedDuringOutage
        }
    }

    private func mark(of reason: CloseReason) -> Mark {
        switch reason {
        case .broken: .closedBroken
        case .spent: .closedSpent
        case .died: .closedDead
        case .failedValidation: .closedAfterPing
        case .failedReset: .closedAfterReset
        case .expired: .closedExpired
        case .idleTimeout: .closedIdle
        case .overflow: .closedOverflow
        case .overCapacity: .closedOverCapacity
        case .invalidated: .closedInvalidated
        case .shutDown: .closedByShutdown
        }
    }
}

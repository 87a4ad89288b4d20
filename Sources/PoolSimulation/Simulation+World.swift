import PoolCore

// What the world does with effects, and what happens in it by itself.
extension Simulation {
    mutating func perform(_ effect: PoolEffect) {
        switch effect {
        case .grant(let waiter, let lease, _): receive(lease, for: waiter)
        case .fail(let waiter, _): waiting.removeAll { $0.waiter == waiter }
        case .connect(let id):
            server.dial(id)
            plan(.connectResolves(id), in: drawConnectTime())
        case .validate(let id): plan(.pingResolves(id), in: choices.time(.milliseconds(1)...Int64.milliseconds(20)))
        case .reset(let id): plan(.resetResolves(id), in: choices.time(.milliseconds(1)...Int64.milliseconds(20)))
        case .close(let id, _):
            // Giving up a connect may take as long as the connect.
            let isConnecting = server[id]?.isUp == false && choices.sometimes(0.5)
            let isSlow = isConnecting || choices.sometimes(scenario.slowClose)
            let most: Int64 = isSlow ? .seconds(2) : .milliseconds(2)
            plan(.closeResolves(id), in: choices.time(0...most))
        case .cancelLease(let lease):
            if leases.contains(lease) { plan(.finishesWork(lease), in: .milliseconds(1)) }
        case .leakSuspected, .warmUpFinished, .shutdownComplete: break
        }
    }

    private mutating func drawConnectTime() -> Int64 {
        if server.weather == .silent || choices.sometimes(scenario.hungConnect) { return .seconds(1) }
        let time = choices.time(scenario.connectTime)
        return choices.sometimes(scenario.slowConnect) ? 5 * time : time
    }

    mutating func happen(_ happening: Schedule.Happening) {
        switch happening {
        case .arrives(let client): arrive(client)
        case .givesUp(let waiter): giveUp(waiter)
        case .finishesWork(let lease): finishWork(lease)
        case .connectResolves(let id): resolveConnect(id)
        case .pingResolves(let id):
            send(.validated(id, server.isAlive(id) && !choices.sometimes(scenario.failedPing)))
        case .resetResolves(let id):
            send(.resetFinished(id, server.isAlive(id) && !choices.sometimes(scenario.failedReset)))
        case .closeResolves(let id):
            server.hangUp(id)
            send(.gone(id))
        case .socketEnds(let id): send(.died(id))
        case .weather(let weather): server.weather = weather
        case .restart: for backend in server.backends { kill(backend.id) }
        case .killsSomebody:
            let alive = server.backends.filter { $0.isUp && !$0.isDead }
            if !alive.isEmpty { kill(choices.pick(alive).id) }
        case .administration(let event): send(event)
        case .asksForWarmUp: send(.warmUp)
        case .clockJumps(let distance): now = now + distance
        }
    }

    private mutating func kill(_ id: ConnectionID) {
        server.kill(id)
        guard !choices.sometimes(scenario.unnoticedDeath) else { return }
        plan(.socketEnds(id), in: choices.time(0...Int64.milliseconds(50)))
    }

    private mutating func resolveConnect(_ id: ConnectionID) {
        guard server[id] != nil else { return }  // closed and gone before the answer came
        let isAwaited = machine.connections.contains { $0.id == id && $0.state == .connecting }
        if !isAwaited { marks.insert(.answerCameTooLate) }
        let answer = server.answer(id)
        let isUnlucky = choices.sometimes(scenario.failedConnect) || choices.sometimes(scenario.hungConnect)
        switch answer {
        case .success where !isUnlucky: send(.connected(id))
        case .success:
            server.hangUp(id)
            send(.connectFailed(id, .transient))
        case .failure(let refusal):
            if server.weather == .fine { marks.insert(.tooManyConnectionsAtTheServer) }
            server.hangUp(id)
            send(.connectFailed(id, refusal.failure))
        }
    }

    // MARK: - Clients

    mutating func newClient(owner: UInt64? = nil, isUrgent: Bool = false) -> Client {
        nextWaiter += 1
        return Client(waiter: WaiterID(rawValue: nextWaiter), owner: owner, isUrgent: isUrgent)
    }

    private mutating func arrive(_ client: Client) {
        waiting.append(client)
        let timeout = choices.sometimes(0.05) ? 0 : choices.time(scenario.timeout)
        if choices.sometimes(scenario.givesUp) { plan(.givesUp(client.waiter), in: choices.time(0...timeout)) }
        send(.requested(client.waiter, deadline: now + timeout, owner: client.owner, urgent: client.isUrgent))
    }

    private mutating func giveUp(_ waiter: WaiterID) {
        cancelledAt[waiter] = now
        send(.cancelled(waiter))
    }

    private mutating func receive(_ lease: LeaseID, for waiter: WaiterID) {
        let client = waiting.first { $0.waiter == waiter }
        waiting.removeAll { $0.waiter == waiter }
        leases.append(lease)
        // The shell resumes a task that was cancelled in the same instant: the lease goes back unused.
        if choices.sometimes(scenario.givesUp / 4) {
            marks.insert(.cancelledAtTheInstantOfTheGrant)
            plan(.finishesWork(lease), in: 0)
            return plan(.givesUp(waiter), in: 0)
        }
        if choices.sometimes(scenario.leaks) { return }
        plan(.finishesWork(lease), in: choices.time(scenario.holdTime))
        if choices.sometimes(scenario.nests), nextWaiter < 2000 {
            plan(.arrives(newClient(owner: client?.owner)), in: .milliseconds(1))
        }
    }

    private mutating func finishWork(_ lease: LeaseID) {
        guard let place = leases.firstIndex(of: lease) else { return }
        leases.remove(at: place)
        let id = lease.connection
        var outcome = LeaseOutcome.clean
        if choices.sometimes(scenario.needsReset) { outcome = id.serial.isMultiple(of: 10) ? .spent : .needsReset }
        // Not every holder notices that the peer is gone.
        let isDeathNoticed = !server.isAlive(id) && choices.sometimes(0.7)
        if isDeathNoticed || choices.sometimes(scenario.breaks) { outcome = .broken }
        if outcome == .broken, choices.sometimes(scenario.blamesThePool) { send(.invalidatedBy(id)) }
        send(.returned(lease, outcome))
        if choices.sometimes(0.02) { send(.returned(lease, .clean)) }
    }
}

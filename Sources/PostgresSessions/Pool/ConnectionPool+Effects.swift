internal import PoolCore
internal import PostgresWire
internal import Synchronization

extension ConnectionPool {
    /// What the machine's effects come to, with the objects they need, to be done outside the lock.
    final class Work {
        var resumptions: [(WaitContinuation, WaitEnd)] = []
        var tasks: [PoolTask] = []
        var shutDown: [CheckedContinuation<Void, Never>] = []
        var warmed: [(WarmUpWaiter, Bool)] = []
        var interrupts: [WireConnection] = []
        var severed: [WireConnection] = []
        /// Giving one up cancels the user's own code, which may ask the engine something there and then.
        var abandoned: [ConnectRequest] = []
        var leaks: [(PhysicalConnection, Origin?)] = []
        var timer: PoolInstant?

        func resets(_ connection: PhysicalConnection) -> Bool {
            tasks.contains { if case .reset(_, let other) = $0 { other === connection } else { false } }
        }

        fileprivate func end(_ id: WaiterID, with end: WaitEnd, _ state: inout State) {
            if let continuation = state.waiters.end(id, with: end) { resumptions.append((continuation, end)) }
        }
    }

    /// A conversation that the pool has with a connection on its own account.
    enum PoolTask {
        case connect(ConnectionID, ConnectRequest)
        case validate(ConnectionID, PhysicalConnection)
        case reset(ConnectionID, PhysicalConnection)
        case close(ConnectionID, PhysicalConnection, CloseReason)
    }

    /// Under the lock: turns the pending effects into work.
    func collectWork(_ state: inout State, _ now: PoolInstant) -> Work {
        let work = Work()
        for effect in state.effects { collect(effect, &state, work, now) }
        state.effects.removeAll()
        work.timer = newTimer(&state)
        return work
    }

    private func collect(_ effect: PoolEffect, _ state: inout State, _ work: Work, _ now: PoolInstant) {
        switch effect {
        case .grant(let id, let lease, let idleSince):
            guard let connection = state.connections[lease.connection.slot] else { return }
            connection.loan = newLoan(lease, idleSince, now)
            work.end(id, with: .granted(connection), &state)
        case .fail(let id, let refusal):
            let failure = PoolFailure(refusal, Engine.Statistics(state), state.lastConnectFailure)
            work.end(id, with: .failed(failure), &state)
        case .connect(let id):
            let request = connector.request { [weak self] in self?.apply(.died(id)) }
            while state.requests.count <= id.slot {
                state.requests.append(nil)
                state.connections.append(nil)
                state.origins.append(nil)
                state.isConversing.append(false)
                state.deferredCloses.append(nil)
            }
            state.requests[id.slot] = request
            work.tasks.append(.connect(id, request))
        case .validate(let id):
            guard let connection = state.connections[id.slot] else { return }
            state.isConversing[id.slot] = true
            work.tasks.append(.validate(id, connection))
        case .reset(let id):
            guard let connection = state.connections[id.slot] else { return }
            state.isConversing[id.slot] = true
            work.tasks.append(.reset(id, connection))
        case .close(let id, let reason):
            if let connection = state.connections[id.slot] {
                state.connections[id.slot] = nil
                guard state.isConversing[id.slot] else { return work.tasks.append(.close(id, connection, reason)) }
                // libpq's handle must not be freed under the conversation: end that first, by ending its socket.
                state.deferredCloses[id.slot] = .close(id, connection, reason)
                work.severed.append(connection.wire)
            } else if let request = state.requests[id.slot] {
                work.abandoned.append(request)
            }
        case .cancelLease(let lease):
            if let connection = state.connections[lease.connection.slot] { work.interrupts.append(connection.wire) }
        case .leakSuspected(let lease):
            guard let connection = state.connections[lease.connection.slot] else { return }
            work.leaks.append((connection, state.origins[lease.connection.slot]))
        case .warmUpFinished(let isWarm):
            work.warmed += state.onWarm.map { ($0, isWarm) }
            state.onWarm = []
        case .shutdownComplete:
            work.shutDown += state.onShutDown
            state.onShutDown = []
        }
    }

    /// Outside the lock.
    func perform(_ work: Work) {
        if let deadline = work.timer { armTimer(at: deadline) }
        for (continuation, end) in work.resumptions { continuation.resume(returning: end) }
        for task in work.tasks { start(task) }
        for wire in work.interrupts { wire.interrupt(forShutdown: true) }
        for wire in work.severed { wire.sever() }
        for request in work.abandoned { request.abandon() }
        for (connection, origin) in work.leaks { connector.reportLeak(connection, origin) }
        for (waiter, isWarm) in work.warmed { waiter.end(isWarm) }
        for continuation in work.shutDown { continuation.resume() }
    }

    private func start(_ task: PoolTask) {
        Task.detached(executorPreference: EventLoops.shared) { [self] in
            switch task {
            case .connect(let id, let request): await connect(id, request)
            case .validate(let id, let connection):
                let isAlive = await connection.ping(within: Engine.livenessTimeout)
                endConversation(id, .validated(id, isAlive))
            case .reset(let id, let connection):
                let isClean = await reset(connection)
                connector.noteCheckIn(connection)
                endConversation(id, .resetFinished(id, isClean))
            case .close(let id, let connection, let reason):
                if reason.isInvalidation {
                    for observer in connector.observers { observer.didInvalidate(connection.info, reason: "\(reason)") }
                }
                await connection.wire.close()
                for observer in connector.observers { observer.didClose(connection.info) }
                apply(.gone(id))
            }
        }
    }

    /// The machine hears the outcome, unless it has decided meanwhile to close the connection; then that happens now.
    private func endConversation(_ id: ConnectionID, _ event: PoolEvent) {
        let close = state.withLock { state in
            state.isConversing[id.slot] = false
            return state.deferredCloses[id.slot].take()
        }
        if let close { start(close) } else { apply(event) }
    }

    /// For what the pool does on its own account: ping, ROLLBACK, DISCARD ALL.
    static var housekeepingTimeout: Duration { .seconds(5) }

    private func connect(_ id: ConnectionID, _ request: ConnectRequest) async {
        do {
            let connection = try await connector.connect(request)
            // Parked before it is anybody's, so that a grant finds every connection in the same state.
            guard connection.wire.park() else {
                connection.wire.closeNow()
                throw ConnectFailure(message: "the server closed the connection at once")
            }
            apply { state in
                state.connections[id.slot] = connection
                state.requests[id.slot] = nil
                state.lastConnectFailure = nil
                return .connected(id)
            }
        } catch {
            // Nobody wants this connection any more, which says nothing of the server.
            guard !request.isAbandoned else {
                return apply { state in
                    state.requests[id.slot] = nil
                    return .connectFailed(id, .transient)
                }
            }
            let (failure, failureClass) = connector.describe(error)
            apply { state in
                state.requests[id.slot] = nil
                state.lastConnectFailure = failure
                // An engine that has never reached its server is more likely misconfigured than early: fail fast. A server
                // that answers, if only "too many" or "starting up", has been reached.
                let isFirst = state.machine.snapshot.opened == 0 && failure.sqlState == nil
                return .connectFailed(id, isFirst ? .permanent : failureClass)
            }
        }
    }

    /// Makes a returned connection fit for the next borrower, as the options say.
    private func reset(_ connection: PhysicalConnection) async -> Bool {
        let timeout = Self.housekeepingTimeout
        guard await connection.rollBack(within: timeout) else { return false }
        switch options.resetOnReturn {
        case .discardAll: guard await makeAnew(connection) else { return false }
        case .rollback where connection.mustBeMadeAnew: guard await makeAnew(connection) else { return false }
        case .rollback: guard await connection.clean(within: timeout) else { return false }
        case .none: break
        }
        for observer in connector.observers { observer.didReset(connection.info) }
        return connection.wire.park()
    }

    /// As it was when it was connected, with what the connect hooks make of it.
    private func makeAnew(_ connection: PhysicalConnection) async -> Bool {
        guard await connection.discardAll(within: Self.housekeepingTimeout) else { return false }
        return connection.madeByHooks.isEmpty ? true : await connector.runHooksAgain(connection)
    }
}

extension CloseReason {
    /// Not merely too old, too many, or not needed.
    fileprivate var isInvalidation: Bool {
        switch self {
        case .broken, .died, .failedValidation, .failedReset, .invalidated: true
        case .spent, .expired, .idleTimeout, .overflow, .overCapacity, .shutDown: false
        }
    }
}

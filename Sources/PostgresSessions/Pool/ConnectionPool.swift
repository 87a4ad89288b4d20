internal import PoolCore
internal import PostgresWire
internal import Synchronization

/// The shell around ``PoolStateMachine``: lock, apply the event, unlock, do what it says.
///
/// The machine decides; this class holds the connections, resumes the waiters, and keeps one timer for the machine's next
/// deadline. Nothing is awaited, resumed or called in libpq under the lock.
final class ConnectionPool: Sendable {
    struct State {
        var machine: PoolStateMachine
        /// By the machine's slot.
        var connections: [PhysicalConnection?] = []
        var requests: [ConnectRequest?] = []
        /// By slot: the pool itself is talking on the connection (a ping, a reset), so that nobody may close it.
        var isConversing: [Bool] = []
        /// By slot: the close that waits for the end of that conversation.
        var deferredCloses: [PoolTask?] = []
        /// Where each lent connection was asked for; kept only for the report of leaks.
        var origins: [Origin?] = []
        var waiters = WaiterTable()
        var isShuttingDown = false
        var effects = PoolEffects()
        var timer: LoopTimer?
        var timerDeadline = PoolInstant.distantFuture
        var lastConnectFailure: ConnectFailure?
        var onShutDown: [CheckedContinuation<Void, Never>] = []
        var onWarm: [CheckedContinuation<Bool, Never>] = []
    }

    let state: Mutex<State>
    let options: PoolOptions
    let connector: Connector
    /// `checkoutTimeout` in nanoseconds, divided once.
    private let patience: Int64

    init(options: PoolOptions, connector: Connector) {
        self.options = options
        self.connector = connector
        patience = options.checkoutTimeout.inNanoseconds
        let seed = UInt64.random(in: .min ... .max)
        state = Mutex(State(machine: PoolStateMachine(PoolConfiguration(options, seed: seed))))
    }

    static var now: PoolInstant { PoolInstant(nanoseconds: Monotonic.now.nanoseconds) }

    // MARK: Checkout

    /// A usable connection, at the latest at `deadline`. Whoever gets one must give it back.
    func checkout(until deadline: PoolInstant, urgent: Bool = false, origin: Origin? = nil) async throws -> Lease {
        while true {
            switch try ask(until: deadline, urgent: urgent, origin: origin) {
            case .granted(let lease): return lease
            case .pending(let pending): if let lease = try await wait(for: pending, origin) { return lease }
            }
        }
    }

    /// What a request comes to without suspending.
    enum Answer {
        case granted(Lease)
        case pending(PendingCheckout)
    }

    struct PendingCheckout {
        /// nil: a connection was granted that turned out to be dead; ask again.
        var waiter: PoolWaiter?
        var id: WaiterID
    }

    /// The fast path: an idle connection is granted under one lock, without a waiter and without suspending.
    ///
    /// Without a deadline, the pool's own patience counts from now.
    func ask(until given: PoolInstant? = nil, urgent: Bool = false, origin: Origin? = nil) throws(EngineError) -> Answer
    {
        guard !ProcessIdentity.isForked else {
            throw .invalidState("the process was forked; a child must make an engine of its own")
        }
        let now = Self.now
        let deadline = given ?? now + patience
        let owner = Self.currentTask
        var timer: PoolInstant?
        var work: Work?
        let answer = state.withLock { state -> Answer in
            let id = state.waiters.reserve()
            let request = PoolEvent.requested(id, deadline: deadline, owner: owner, urgent: urgent)
            state.machine.apply(request, at: now, into: &state.effects)
            if case .grant(id, let lease, let idleSince) = state.effects.only,
                let connection = state.connections[lease.connection.slot]
            {
                state.effects.removeAll()
                state.waiters.release(id)
                timer = newTimer(&state)
                return .granted(Lease(id: lease, connection: connection, idleSince: idleSince))
            }
            let waiter = state.waiters.add(id)
            work = workIfAny(&state, now)
            return .pending(PendingCheckout(waiter: waiter, id: id))
        }
        if let timer { armTimer(at: timer) }
        if let work { perform(work) }
        guard case .granted(let lease) = answer, !isUsable(lease, origin) else { return answer }
        return .pending(PendingCheckout(waiter: nil, id: WaiterID(rawValue: 0)))
    }

    /// nil: ask again.
    func wait(for pending: PendingCheckout, _ origin: Origin?) async throws -> Lease? {
        guard let waiter = pending.waiter else { return nil }
        await withTaskCancellationHandler {
            await waiter.wait()
        } onCancel: {
            apply(.cancelled(pending.id))
        }
        let lease = try waiter.outcome()
        return isUsable(lease, origin) ? lease : nil
    }

    /// A connection whose socket has ended while it was idle is given back and replaced, unseen.
    private func isUsable(_ lease: Lease, _ origin: Origin?) -> Bool {
        guard lease.wire.unpark() else {
            giveBack(lease, .broken)
            return false
        }
        if reportsLeaks { state.withLock { $0.origins[lease.id.connection.slot] = origin } }
        for observer in connector.observers { observer.didCheckOut(lease.connection.info) }
        return true
    }

    private var reportsLeaks: Bool { options.leakDetectionThreshold != nil }

    /// Names the task, so that one that waits for a connection it holds itself can be told so.
    private static var currentTask: UInt64? {
        var address: UInt = 0  // of the task; without a task, its optional is 0 too
        withUnsafeCurrentTask { task in address = unsafeBitCast(task, to: UInt.self) }
        return address == 0 ? nil : UInt64(address)
    }

    // MARK: Return

    /// Ends a lease. A connection that is not provably clean is cleaned or closed before anybody else gets it.
    func giveBack(_ lease: Lease, _ outcome: LeaseOutcome) {
        var outcome = lease.wire.isBroken ? LeaseOutcome.broken : outcome
        for observer in connector.observers { observer.didCheckIn(lease.connection.info) }
        if case .clean = outcome, !lease.wire.park() { outcome = .broken }
        let event = PoolEvent.returned(lease.id, outcome)
        let now = Self.now
        var heir: (waiter: PoolWaiter, lease: Lease)?
        var work: Work?
        state.withLock { state in
            state.machine.apply(event, at: now, into: &state.effects)
            heir = takeHeir(&state)
            work = workIfAny(&state, now)
        }
        if let heir { heir.waiter.finish(.success(heir.lease)) }
        if let work { perform(work) }
    }

    /// The ordinary case under load: the connection goes from hand to hand, and nothing else happens.
    private func takeHeir(_ state: inout State) -> (waiter: PoolWaiter, lease: Lease)? {
        guard case .grant(let id, let lease, let idleSince) = state.effects.only,
            let connection = state.connections[lease.connection.slot], let waiter = state.waiters.remove(id)
        else { return nil }
        state.effects.removeAll()
        return (waiter, Lease(id: lease, connection: connection, idleSince: idleSince))
    }

    /// When the timer is to be armed anew, if it is.
    func newTimer(_ state: inout State) -> PoolInstant? {
        let deadline = state.machine.alarm
        guard deadline < state.timerDeadline else { return nil }
        state.timerDeadline = deadline
        return deadline
    }

    private func workIfAny(_ state: inout State, _ now: PoolInstant) -> Work? {
        if state.effects.isEmpty && state.machine.alarm >= state.timerDeadline { return nil }
        return collectWork(&state, now)
    }

    // MARK: Events

    func apply(_ event: PoolEvent) { apply { _ in event } }

    /// Changes the shell's own books and lets an event happen, under one lock; then does what comes of it.
    func apply(_ change: (inout State) -> PoolEvent) {
        let now = Self.now
        perform(
            state.withLock { state in
                let event = change(&state)
                state.machine.apply(event, at: now, into: &state.effects)
                return collectWork(&state, now)
            })
    }

    var isShutDown: Bool { state.withLock { $0.isShuttingDown } }

    var statistics: Engine.Statistics { state.withLock { Engine.Statistics($0) } }

    // MARK: The one timer

    func armTimer(at deadline: PoolInstant) {
        let timer = EventLoops.shared.schedule(at: Monotonic(nanoseconds: deadline.nanoseconds)) { [weak self] in
            self?.timerFired(deadline)
        }
        let previous = state.withLock { state -> LoopTimer? in
            guard state.timerDeadline == deadline else { return timer }  // armed anew meanwhile
            defer { state.timer = timer }
            return state.timer
        }
        if let previous { EventLoops.shared.cancel(previous) }
    }

    private func timerFired(_ deadline: PoolInstant) {
        let isCurrent = state.withLock { state in
            guard state.timerDeadline == deadline else { return false }
            state.timerDeadline = .distantFuture
            state.timer = nil
            return true
        }
        if isCurrent { apply(.wokeUp) }
    }
}

extension PoolConfiguration {
    init(_ options: PoolOptions, seed: UInt64) {
        self.init(
            size: options.size, maxOverflow: options.maxOverflow.limit, maxWaiters: options.maxWaiters,
            prePingAlways: options.prePing == .always, maxLifetime: options.maxLifetime?.inNanoseconds,
            lifetimeJitter: options.lifetimeJitter, idleTimeout: options.idleTimeout?.inNanoseconds,
            minimumIdle: options.minimumIdle, order: options.order == .lifo ? .lifo : .fifo,
            permanentBackoff: Backoff(base: .milliseconds(500), cap: .seconds(10)), urgentReserve: 1,
            leakThreshold: options.leakDetectionThreshold?.inNanoseconds, seed: seed)
    }
}

extension Engine.Statistics {
    init(_ state: borrowing ConnectionPool.State) {
        let now = state.machine.snapshot
        size = now.size
        maxOverflow = now.maxOverflow
        idle = now.idle
        leased = now.leased
        connecting = now.connecting
        inTransit = now.validating + now.resetting + now.closing
        waiting = now.waiting
        opened = Int(now.opened)
        closed = Int(now.closed)
        checkouts = Int(now.checkouts)
        timeouts = Int(now.timeouts)
        connectFailures = Int(now.connectFailures)
        lastConnectFailure = state.lastConnectFailure.map { String(describing: $0) }
    }
}

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
        /// When those who wait are next asked whether they have been cancelled.
        var nextRound = PoolInstant.distantFuture
        var isShuttingDown = false
        var effects = PoolEffects()
        var timer: LoopTimer?
        var timerDeadline = PoolInstant.distantFuture
        var lastConnectFailure: ConnectFailure?
        /// Connections that are not the pool's, and end with it.
        var listeners: [ObjectIdentifier: WireConnection] = [:]
        var onShutDown: [CheckedContinuation<Void, Never>] = []
        var onWarm: [WarmUpWaiter] = []
    }

    let state: Mutex<State>
    /// Whether a look at the idle connections is worth the lock. Where this is wrong, somebody goes the longer way.
    private let mayHaveIdle = Atomic<Bool>(false)
    let options: PoolOptions
    let connector: Connector
    /// `checkoutTimeout` in nanoseconds, divided once.
    private let patience: Int64
    /// After so many nanoseconds at rest, a connection is not taken for alive.
    private let doubtfulAfter: Int64
    let reportsLeaks: Bool
    private let isObserved: Bool

    init(options: PoolOptions, connector: Connector) {
        self.options = options
        self.connector = connector
        patience = options.checkoutTimeout.inNanoseconds
        if case .automatic(let threshold) = options.prePing.mode {
            doubtfulAfter = threshold.inNanoseconds
        } else {
            doubtfulAfter = .max
        }
        reportsLeaks = options.leakDetectionThreshold != nil
        isObserved = !connector.observers.isEmpty
        let seed = UInt64.random(in: .min ... .max)
        state = Mutex(State(machine: PoolStateMachine(PoolConfiguration(options, seed: seed))))
    }

    static var now: PoolInstant { PoolInstant(nanoseconds: Monotonic.now.nanoseconds) }
    /// For loans and returns, which only have to be in order: nothing is due sooner for them than it would be later.
    private static var recently: PoolInstant { PoolInstant(nanoseconds: Monotonic.recent.nanoseconds) }

    /// `idleSince` is nil for a connection that was just made, checked, or handed over directly.
    @inline(__always)
    func newLoan(_ id: LeaseID, _ idleSince: PoolInstant?, _ now: PoolInstant) -> Loan {
        let isDoubtful = idleSince.map { Self.isLong(from: $0, to: now, threshold: doubtfulAfter) } ?? false
        return Loan(id: id, isDoubtful: isDoubtful)
    }

    /// The clock's last tick may be earlier than the precise instant at which a connection became idle: that is no time.
    static func isLong(from idleSince: PoolInstant, to now: PoolInstant, threshold: Int64) -> Bool {
        max(now - idleSince, 0) >= threshold
    }

    // MARK: Checkout

    /// When a checkout must have ended; without a timeout, by the pool's own patience.
    func deadline(_ timeout: Duration?, since start: PoolInstant) -> PoolInstant {
        start + (timeout?.inNanoseconds ?? patience)
    }

    /// A usable connection, at the latest at `deadline`. Whoever gets one must give it back.
    func checkout(until deadline: PoolInstant, urgent: Bool = false, origin: Origin? = nil) async throws -> Lease {
        while true {
            if let lease = try takeIdle(origin) { return lease }
            let now = Self.now
            let end = await wait(since: now, until: deadline, urgent: urgent)
            if let lease = try settle(end, origin) { return lease }
        }
    }

    /// The fast path: an idle connection is lent under one lock, without a waiter and without suspending. nil: wait for one.
    @inline(__always)
    func takeIdle(_ origin: Origin? = nil) throws(EngineError) -> Lease? {
        guard !ProcessIdentity.isForked else {
            throw .invalidState("the process was forked; a child must make an engine of its own")
        }
        guard mayHaveIdle.load(ordering: .relaxed), let lease = lendIdle(at: Self.recently, origin) else { return nil }
        return isUsable(lease) ? lease : nil
    }

    private func lendIdle(at now: PoolInstant, _ origin: Origin?) -> Lease? {
        var work: Work?
        var timer: PoolInstant?
        let lease = state.withLock { state -> Lease? in
            let owner = SuspendedTask.current?.name
            guard let loan = state.machine.lendIdle(owner: owner, at: now, into: &state.effects) else {
                mayHaveIdle.store(false, ordering: .relaxed)
                return nil
            }
            let slot = loan.lease.connection.slot
            guard let connection = state.connections[slot] else { preconditionFailure("an idle slot is empty") }
            if reportsLeaks {
                state.origins[slot] = origin
                connection.lastStatement?.forget()
            }
            if !state.effects.isEmpty { work = collectWork(&state, now) } else { timer = newTimer(&state) }
            return Lease(newLoan(loan.lease, loan.idleSince, now), connection)
        }
        if let timer { armTimer(at: timer) }
        if let work { perform(work) }
        return lease
    }

    /// A connection whose socket has ended while it was idle is given back and replaced, unseen.
    @inline(__always)
    func isUsable(_ lease: Lease) -> Bool {
        guard lease.wire.unpark() else {
            apply(.returned(lease.id, .broken))  // no observer has heard of the loan
            return false
        }
        if isObserved { for observer in connector.observers { observer.didCheckOut(lease.connection.info) } }
        return true
    }

    // MARK: Return

    /// Ends a lease. A connection that is not provably clean is cleaned or closed before anybody else gets it.
    func giveBack(_ lease: Lease, _ word: LeaseOutcome) {
        let outcome = lease.park(word)
        if isObserved && outcome != .needsReset { connector.noteCheckIn(lease.connection) }
        let now = Self.recently
        var heir: (continuation: WaitContinuation, end: WaitEnd)?
        var work: Work?
        state.withLock { state in
            state.machine.giveBack(lease.id, outcome, at: now, into: &state.effects)
            if state.effects.isEmpty {
                mayHaveIdle.store(true, ordering: .relaxed)
            } else {
                heir = takeHeir(&state, now)
            }
            work = workIfAny(&state, now)
        }
        if isObserved && outcome == .needsReset, work?.resets(lease.connection) != true {
            connector.noteCheckIn(lease.connection)
        }
        if let heir { heir.continuation.resume(returning: heir.end) }
        if let work { perform(work) }
    }

    /// The ordinary case under load: the connection goes from hand to hand, and nothing else happens.
    private func takeHeir(_ state: inout State, _ now: PoolInstant) -> (continuation: WaitContinuation, end: WaitEnd)? {
        guard case .grant(let id, let lease, let idleSince) = state.effects.only,
            let connection = state.connections[lease.connection.slot]
        else { return nil }
        state.effects.removeAll()
        connection.loan = newLoan(lease, idleSince, now)
        let end = WaitEnd.granted(connection)
        return state.waiters.end(id, with: end).map { ($0, end) }
    }

    /// When the timer is to be armed anew, if it is.
    func newTimer(_ state: inout State) -> PoolInstant? {
        let deadline = min(state.machine.alarm, state.nextRound)
        guard deadline < state.timerDeadline else { return nil }
        state.timerDeadline = deadline
        return deadline
    }

    func workIfAny(_ state: inout State, _ now: PoolInstant) -> Work? {
        if state.effects.isEmpty && min(state.machine.alarm, state.nextRound) >= state.timerDeadline { return nil }
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
                if state.machine.hasIdle { mayHaveIdle.store(true, ordering: .relaxed) }
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
        let now = Self.now
        let work = state.withLock { state -> Work? in
            guard state.timerDeadline == deadline else { return nil }
            state.timerDeadline = .distantFuture
            state.timer = nil
            if state.machine.alarm <= now { state.machine.apply(.wokeUp, at: now, into: &state.effects) }
            let late = state.nextRound <= now ? askWaiters(&state, now) : []
            let work = collectWork(&state, now)
            work.resumptions += late
            return work
        }
        if let work { perform(work) }
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
        if lastConnectFailure == nil, connecting > 0 { lastConnectFailure = Self.slowestConnect(state.requests) }
    }

    /// A server that does not answer has not refused yet.
    private static func slowestConnect(_ requests: [ConnectRequest?]) -> String? {
        let slowest = requests.compactMap { $0?.progress }.max { $0.age < $1.age }
        guard let slowest, slowest.age > .milliseconds(200) else { return nil }
        let age = Duration.milliseconds(slowest.age.inNanoseconds / 1_000_000)
        return "\(slowest.target.isEmpty ? "" : "\(slowest.target): ")not connected after \(age)"
    }
}

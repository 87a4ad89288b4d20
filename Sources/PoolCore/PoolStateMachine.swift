/// The policy of borrowing, as one value: an event and the time go in, effects come out.
///
/// Guarantees P1 to P12 (``checkInvariants()``). Never looks at a clock, locks, waits, or does anything itself: copy it
/// and the copy lives another future. One event costs O(1) amortised, except those that touch every connection by their
/// nature (time-outs, invalidation, resizing, shutdown).
///
/// A slot's life, and the event behind each arrow:
///
///                      connectFailed                                       (freed)
///         ┌───────────────────────────────────────────────────────────────────▲
///     connecting ──connected──► settle ──a waiter──► leased ──returned─┐      │ gone
///                                 ▲ │ ▲                  ▲             │      │
///             validated(true) ────┘ │ └── resetFinished(true)          │      │
///                  │           nobody waits        │     │ requested   │      │
///              validating           ▼          resetting │ (no ping)   │      │
///                  ▲              idle ──────────│───────┘             │      │
///                  └──requested─────┘            └────needsReset───────┤      │
///                    (prePingAlways)                                   │clean │
///                                               settle ◄───────────────┘      │
///                                                                             │
///     from every state, one way: ──died, validated(false), resetFinished(false), broken, expired, idle for too
///     long, overflow, invalidated, shutdown──► closing ───────────────────────┘
///
/// `settle` decides for a connection that is ready: close it if there is a reason, lend it to whoever waited longest,
/// keep it idle while fewer than `size` are, else close it.
///
/// A waiter's life: requested ──► granted | timedOut | cancelled | refused, exactly one of them (P3).
///
/// Late but legal, hence ignored: any event of a connection whose slot was reused (serials differ); `cancelled` after
/// the grant; `validated`, `resetFinished`, `died` and `returned` while closing; a second `returned` (P5). `connected`
/// while closing repeats the close, for there was nothing to close before.
package struct PoolStateMachine: Hashable, Sendable {
    enum Phase: Hashable, Sendable {
        case open
        /// Nobody is let in; leases may end by themselves until `forceAt`.
        case draining(forceAt: PoolInstant)
        /// The leases that were left have been cancelled.
        case forced
        case shutDown
    }

    package internal(set) var configuration: PoolConfiguration
    var slots = SlotTable()
    var waiters = WaiterQueue()
    var phase = Phase.open
    var outage: Outage?
    var generator: SeededGenerator
    /// The latest time seen; an event with an earlier one happens now.
    var now = PoolInstant(nanoseconds: .min)
    /// Not later than any promise (P8); exact after `wokeUp`.
    package internal(set) var alarm = PoolInstant.distantFuture
    /// When a connection last set out for a waiter: a connect, a ping or a reset.
    var lastDeparture = PoolInstant(nanoseconds: .min)
    /// Connections of an earlier generation are replaced.
    var generation: UInt64 = 0
    /// A `warmUp` has not been answered.
    var isWarmingUp = false
    /// How far above its capacity the pool may be, after it was made smaller (P1).
    var ceiling: Int

    var opened: UInt64 = 0
    var closed: UInt64 = 0
    var checkouts: UInt64 = 0
    var timeouts: UInt64 = 0
    var cancellations: UInt64 = 0
    var refusals: UInt64 = 0
    var connectAttempts: UInt64 = 0
    var connectFailures: UInt64 = 0

    package init(_ configuration: PoolConfiguration) {
        precondition(configuration.size > 0, "a pool keeps at least one connection")
        precondition((configuration.maxOverflow ?? 0) >= 0, "maxOverflow is negative")
        self.configuration = configuration
        generator = SeededGenerator(seed: configuration.seed)
        ceiling = configuration.capacity
    }

    /// Lets one event happen and appends what has to be done.
    package mutating func apply(_ event: PoolEvent, at instant: PoolInstant, into effects: inout PoolEffects) {
        if instant > now { now = instant }
        switch event {
        case .requested(let waiter, let deadline, let owner, let urgent):
            request(waiter, deadline: deadline, owner: owner, isUrgent: urgent, &effects)
        case .returned(let lease, let outcome): giveBack(lease, outcome, &effects)
        case .cancelled(let waiter): cancel(waiter, &effects)
        case .connected(let id): connectSucceeded(id, &effects)
        case .connectFailed(let id, let failure): connectFailed(id, failure, &effects)
        case .validated(let id, let alive): validationFinished(id, alive, &effects)
        case .resetFinished(let id, let success): resetFinished(id, success, &effects)
        case .died(let id): socketEnded(id, &effects)
        case .gone(let id): closeFinished(id, &effects)
        case .wokeUp: wakeUp(&effects)
        case .resized(let size, let maxOverflow): resize(size, maxOverflow, &effects)
        case .invalidated: invalidateAll(&effects)
        case .invalidatedBy(let id): invalidateAll(becauseOf: id, &effects)
        case .connectionInvalidated(let id): condemn(id, .invalidated, &effects)
        case .warmUp: beginWarmUp(&effects)
        case .shutdown(let forceAt): shutDown(forceAt: forceAt, &effects)
        }
    }

    /// When to send `wokeUp`: not later than anything promised, sometimes earlier than needed (P8). O(1).
    package var nextDeadline: PoolInstant? {
        alarm == .distantFuture ? nil : alarm
    }

    package var snapshot: PoolSnapshot {
        var snapshot = PoolSnapshot()
        snapshot.size = configuration.size
        snapshot.maxOverflow = configuration.maxOverflow
        snapshot.idle = slots.idle
        snapshot.leased = slots.leased
        snapshot.connecting = slots.connecting
        snapshot.validating = slots.validating
        snapshot.resetting = slots.resetting
        snapshot.closing = slots.closing
        snapshot.waiting = waiters.count
        snapshot.opened = opened
        snapshot.closed = closed
        snapshot.checkouts = checkouts
        snapshot.timeouts = timeouts
        snapshot.cancelled = cancellations
        snapshot.refused = refusals
        snapshot.connectAttempts = connectAttempts
        snapshot.connectFailures = connectFailures
        snapshot.generation = generation
        snapshot.isServerRefusing = outage != nil
        snapshot.isShutDown = phase == .shutDown
        return snapshot
    }

    @inline(__always)
    mutating func remind(at instant: PoolInstant) {
        if instant < alarm { alarm = instant }
    }
}

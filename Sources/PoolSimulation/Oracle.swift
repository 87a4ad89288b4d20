package import PoolCore

/// A second, deliberately naive bookkeeping: it is told what happened and what the pool asked for, believes nothing,
/// and says which promise was broken. Arrays and linear scans only; no line of the machine is used to judge it.
package struct Oracle: Sendable {
    enum State: Hashable, Sendable {
        case connecting, validating, idle, leased(UInt64), resetting, closing
        /// The event has just put it into the pool's hands; effects must say what becomes of it.
        case ready, dirty, spent, broken

        init(_ outcome: LeaseOutcome) {
            switch outcome {
            case .clean: self = .ready
            case .needsReset: self = .dirty
            case .spent: self = .spent
            case .broken: self = .broken
            }
        }
    }

    struct Record: Sendable {
        let id: ConnectionID
        var state: State
        var openedAt: PoolInstant?
        var since: PoolInstant
        /// Somebody said that it must not be used again.
        var isCondemned = false
        /// How many times the whole pool was invalidated before it began to be opened.
        let generation: UInt64
    }

    struct Waiting: Sendable {
        let id: WaiterID
        let deadline: PoolInstant
        let isUrgent: Bool
    }

    package struct Violation: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    var configuration: PoolConfiguration
    var records: [Record] = []
    var waiting: [Waiting] = []
    var lastSerial: UInt64 = 0
    var lastLease: UInt64 = 0
    var reportedLeases: [UInt64] = []
    var forceAt: PoolInstant?
    var isComplete = false
    /// Somebody wants to know whether the pool reached its minimum.
    var isWarmUpPending = false
    /// A connect failed and none has succeeded since.
    var isRefused: Bool { lastRefusedAttempt != nil }
    /// The last attempt since then, or that first failure.
    var lastRefusedAttempt: PoolInstant?
    /// The last failure, and the longest pause that it allows before the next attempt for somebody who waits.
    var lastFailure: (at: PoolInstant, pause: Int64)?
    /// How many sockets there may be, while a pool that was made smaller still has more than its capacity.
    var allowance: Int
    var generation: UInt64 = 0
    var counters = Counters()

    struct Counters: Hashable, Sendable {
        var opened: UInt64 = 0, closed: UInt64 = 0, checkouts: UInt64 = 0, timeouts: UInt64 = 0
        var cancelled: UInt64 = 0, refused: UInt64 = 0, attempts: UInt64 = 0, failures: UInt64 = 0
    }

    package init(_ configuration: PoolConfiguration) {
        self.configuration = configuration
        allowance = configuration.capacity
    }

    /// Learns what happened, judges what the pool asked for, and compares the books.
    package mutating func observe(
        _ event: PoolEvent, _ effects: [PoolEffect], at now: PoolInstant, snapshot: PoolSnapshot
    ) throws(Violation) {
        let failures = counters.failures
        let newcomer = learn(event, at: now)
        for effect in effects { try judge(effect, of: event, newcomer: newcomer, at: now) }
        if let newcomer, !waiting.contains(where: { $0.id == newcomer.id }), !wasAnswered(newcomer.id, in: effects) {
            throw Violation(description: "P3: \(newcomer.id) was neither answered nor queued")
        }
        if case .cancelled(let id) = event, waiting.contains(where: { $0.id == id }) {
            throw Violation(description: "P3: \(id) was cancelled and still waits")
        }
        if isWarmUpPending, counters.failures > failures {
            throw Violation(description: "a warm-up met a failed connect and was not told")
        }
        try judgePause(after: event, at: now)
        try parkWhatIsReady(at: now)
        allowance = max(configuration.capacity, min(allowance, records.count))
        try compareBooks(with: snapshot)
    }

    private func wasAnswered(_ id: WaiterID, in effects: [PoolEffect]) -> Bool {
        effects.contains {
            switch $0 {
            case .grant(let waiter, _, _), .fail(let waiter, _): waiter == id
            default: false
            }
        }
    }

    func expect(_ condition: Bool, _ promise: @autoclosure () -> String) throws(Violation) {
        if !condition { throw Violation(description: promise()) }
    }

    func place(of id: ConnectionID) -> Int? { records.firstIndex { $0.id == id } }

    func count(_ isWanted: (State) -> Bool) -> Int { records.count { isWanted($0.state) } }

    var isDraining: Bool { forceAt != nil }

    // MARK: - What happened

    private mutating func learn(_ event: PoolEvent, at now: PoolInstant) -> Waiting? {
        switch event {
        case .requested(let id, let deadline, _, let isUrgent):
            let newcomer = Waiting(id: id, deadline: deadline, isUrgent: isUrgent)
            waiting.append(newcomer)
            return newcomer
        case .connected(let id): learnSuccess(id, at: now)
        case .connectFailed(let id, let failure): learnFailure(id, failure, at: now)
        case .validated(let id, let alive): change(id, from: .validating, to: alive ? .ready : .broken)
        case .resetFinished(let id, let success): change(id, from: .resetting, to: success ? .ready : .broken)
        case .returned(let lease, let outcome):
            change(lease.connection, from: .leased(lease.number), to: State(outcome))
        case .died(let id): if let place = place(of: id), records[place].state != .connecting { condemn(id) }
        case .connectionInvalidated(let id): condemn(id)
        case .gone(let id): forget(id)
        case .invalidated: condemnEverything()
        case .invalidatedBy(let id):
            // A failure of a connection that an earlier invalidation has already condemned is old news.
            if let place = place(of: id), records[place].generation == generation { condemnEverything() }
        case .resized(let size, let maxOverflow):
            configuration.size = size
            configuration.maxOverflow = maxOverflow
            allowance = max(configuration.capacity, records.count)
        case .shutdown(let instant): forceAt = min(forceAt ?? instant, instant)
        case .warmUp: isWarmUpPending = true
        case .cancelled, .wokeUp: break
        }
        return nil
    }

    private mutating func learnSuccess(_ id: ConnectionID, at now: PoolInstant) {
        guard let place = place(of: id), records[place].openedAt == nil else { return }
        records[place].openedAt = now
        counters.opened += 1
        guard records[place].state == .connecting else { return }
        records[place].state = .ready
        lastRefusedAttempt = nil
        lastFailure = nil
    }

    private mutating func learnFailure(_ id: ConnectionID, _ failure: ConnectFailureClass, at now: PoolInstant) {
        guard let place = place(of: id), records[place].state == .connecting else { return forget(id) }
        counters.failures += 1
        if lastRefusedAttempt == nil { lastRefusedAttempt = now }
        // Not every failure counts for the pool, as of attempts from before the outage: the longer pause is allowed.
        let backoff = failure == .permanent ? configuration.permanentBackoff : configuration.backoff
        lastFailure = (now, max(backoff.capForWaiters, lastFailure?.pause ?? 0))
        records.remove(at: place)
    }

    private mutating func condemnEverything() {
        guard !isDraining else { return }
        generation += 1
        for place in records.indices { records[place].isCondemned = true }
    }

    private mutating func change(_ id: ConnectionID, from state: State, to next: State) {
        guard let place = place(of: id), records[place].state == state else { return }
        records[place].state = next
    }

    private mutating func condemn(_ id: ConnectionID) {
        guard let place = place(of: id) else { return }
        records[place].isCondemned = true
        if records[place].state == .idle { records[place].state = .broken }
    }

    private mutating func forget(_ id: ConnectionID) {
        guard let place = place(of: id), records[place].state == .closing else { return }
        if records[place].openedAt != nil { counters.closed += 1 }
        records.remove(at: place)
    }

    /// Something that the world always answers has not changed since then.
    func hasStalled(before instant: PoolInstant) -> Bool {
        records.contains { record in
            switch record.state {
            case .idle: false
            default: record.since < instant
            }
        }
    }

    // MARK: - Books

    private mutating func parkWhatIsReady(at now: PoolInstant) throws(Violation) {
        for place in records.indices {
            switch records[place].state {
            case .ready:
                try expect(!records[place].isCondemned, "P10: \(records[place].id) is condemned and was kept")
                try expect(!isDraining, "P11: \(records[place].id) was kept while shutting down")
                records[place].state = .idle
                records[place].since = now
            case .dirty, .spent, .broken:
                throw Violation(
                    description: "P10: \(records[place].id) came back unfit and was neither reset nor closed")
            case .idle:
                try expect(!records[place].isCondemned, "P10: \(records[place].id) is condemned and stays idle")
            case .connecting, .validating, .leased, .resetting, .closing: break
            }
        }
        try expect(count { $0 == .idle } <= configuration.size, "more idle connections than size")
    }

    private func compareBooks(with snapshot: PoolSnapshot) throws(Violation) {
        var mine = PoolSnapshot()
        mine.size = configuration.size
        mine.maxOverflow = configuration.maxOverflow
        mine.idle = count { $0 == .idle }
        mine.leased = count { if case .leased = $0 { true } else { false } }
        mine.connecting = count { $0 == .connecting }
        mine.validating = count { $0 == .validating }
        mine.resetting = count { $0 == .resetting }
        mine.closing = count { $0 == .closing }
        mine.waiting = waiting.count
        mine.opened = counters.opened
        mine.closed = counters.closed
        mine.checkouts = counters.checkouts
        mine.timeouts = counters.timeouts
        mine.cancelled = counters.cancelled
        mine.refused = counters.refused
        mine.connectAttempts = counters.attempts
        mine.connectFailures = counters.failures
        mine.generation = generation
        mine.isServerRefusing = isComplete ? snapshot.isServerRefusing : isRefused
        mine.isShutDown = isComplete
        try expect(mine == snapshot, "P12: the books say \(mine), the pool says \(snapshot)")
        let underway = mine.connecting + mine.validating + mine.resetting
        try expect(mine.idle == 0 || mine.waiting <= underway, "P2: somebody waits while a connection is idle")
    }
}

import PoolCore
import Testing

/// A pool whose server and clients are the test itself. Remembers what the pool asked for, checks P1–P12 after every
/// event, and moves time only when told.
struct ScriptedPool {
    private(set) var machine: PoolStateMachine
    private(set) var now = PoolInstant(nanoseconds: 1_000_000_000)
    /// Everything the pool ever asked for.
    private(set) var effects: [PoolEffect] = []
    private(set) var connecting: [ConnectionID] = []
    private(set) var validating: [ConnectionID] = []
    private(set) var resetting: [ConnectionID] = []
    private(set) var closing: [ConnectionID] = []
    private(set) var closeReasons: [CloseReason] = []
    private(set) var leases: [UInt64: LeaseID] = [:]
    private(set) var grantOrder: [UInt64] = []
    private(set) var refusals: [UInt64: PoolRefusal] = [:]
    private(set) var cancelledLeases: [LeaseID] = []
    private(set) var suspectedLeases: [LeaseID] = []
    private(set) var warmUps: [Bool] = []
    private(set) var shutdownsCompleted = 0
    private(set) var connectTimes: [PoolInstant] = []

    init(_ configuration: PoolConfiguration) {
        machine = PoolStateMachine(configuration)
    }

    init(size: Int, overflow: Int? = 0) {
        self.init(PoolConfiguration(size: size, maxOverflow: overflow))
    }

    var snapshot: PoolSnapshot { machine.snapshot }

    @discardableResult
    mutating func send(_ event: PoolEvent) -> [PoolEffect] {
        var list = PoolEffects()
        machine.apply(event, at: now, into: &list)
        let broken = machine.brokenInvariants()
        #expect(broken.isEmpty, "after \(event)")
        for effect in list { note(effect) }
        return Array(list)
    }

    private mutating func note(_ effect: PoolEffect) {
        effects.append(effect)
        switch effect {
        case .grant(let waiter, let lease, _):
            #expect(leases[waiter.rawValue] == nil && refusals[waiter.rawValue] == nil, "P3: answered twice")
            leases[waiter.rawValue] = lease
            grantOrder.append(waiter.rawValue)
        case .fail(let waiter, let refusal):
            #expect(leases[waiter.rawValue] == nil && refusals[waiter.rawValue] == nil, "P3: answered twice")
            refusals[waiter.rawValue] = refusal
        case .connect(let id):
            connecting.append(id)
            connectTimes.append(now)
        case .validate(let id): validating.append(id)
        case .reset(let id): resetting.append(id)
        case .close(let id, let reason):
            connecting.removeAll { $0 == id }
            validating.removeAll { $0 == id }
            resetting.removeAll { $0 == id }
            closing.append(id)
            closeReasons.append(reason)
        case .cancelLease(let lease): cancelledLeases.append(lease)
        case .leakSuspected(let lease): suspectedLeases.append(lease)
        case .warmUpFinished(let success): warmUps.append(success)
        case .shutdownComplete: shutdownsCompleted += 1
        }
    }

    // MARK: - Clients

    @discardableResult
    mutating func request(
        _ waiter: UInt64, timeout: Int64 = .seconds(30), owner: UInt64? = nil, urgent: Bool = false
    ) -> LeaseID? {
        send(.requested(WaiterID(rawValue: waiter), deadline: now + timeout, owner: owner, urgent: urgent))
        return leases[waiter]
    }

    /// Requests, and lets every connect succeed that this brings about.
    @discardableResult
    mutating func checkOut(_ waiter: UInt64, owner: UInt64? = nil) throws -> LeaseID {
        request(waiter, owner: owner)
        while leases[waiter] == nil, !connecting.isEmpty { connect() }
        return try #require(leases[waiter])
    }

    /// Takes an idle connection; there must be one.
    mutating func checkOutAgain(_ waiter: UInt64) {
        let lease = request(waiter)
        #expect(lease != nil)
    }

    mutating func checkOut(_ waiters: ClosedRange<UInt64>) throws {
        for waiter in waiters { try checkOut(waiter) }
    }

    mutating func cancel(_ waiter: UInt64) {
        send(.cancelled(WaiterID(rawValue: waiter)))
    }

    @discardableResult
    mutating func giveBack(_ waiter: UInt64, _ outcome: LeaseOutcome = .clean) -> [PoolEffect] {
        guard let lease = leases[waiter] else {
            Issue.record("waiter \(waiter) has no lease")
            return []
        }
        return send(.returned(lease, outcome))
    }

    mutating func connection(of waiter: UInt64) throws -> ConnectionID {
        try #require(leases[waiter]).connection
    }

    // MARK: - The server

    mutating func connect() { send(.connected(connecting.removeFirst())) }

    mutating func failConnect(_ failure: ConnectFailureClass = .transient) {
        send(.connectFailed(connecting.removeFirst(), failure))
    }

    mutating func answerPing(_ alive: Bool) { send(.validated(validating.removeFirst(), alive)) }
    mutating func finishReset(_ success: Bool) { send(.resetFinished(resetting.removeFirst(), success)) }

    mutating func finishClosing() {
        while !closing.isEmpty { send(.gone(closing.removeFirst())) }
    }

    // MARK: - Time

    /// Lets time pass and sends every wake-up that the pool asked for on the way.
    mutating func advance(by nanoseconds: Int64) {
        let end = now + nanoseconds
        while let deadline = machine.nextDeadline, deadline <= end {
            if deadline > now { now = deadline }
            send(.wokeUp)
            guard machine.nextDeadline.map({ $0 > now }) ?? true else {
                Issue.record("the pool wants to be woken at once, for ever")
                return
            }
        }
        now = end
    }
}

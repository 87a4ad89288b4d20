import PoolCore
import Testing

@Suite struct `Borrowing` {
    @Test func `opens nothing before the first request`() {
        let pool = ScriptedPool(size: 5, overflow: 10)
        #expect(pool.snapshot.live == 0)
        #expect(pool.machine.nextDeadline == nil)
    }

    @Test func `opens a connection at the first request and lends it`() throws {
        var pool = ScriptedPool(size: 5, overflow: 10)
        let atOnce = pool.request(1)
        #expect(atOnce == nil)
        #expect(pool.connecting.count == 1)
        pool.connect()
        #expect(pool.snapshot.leased == 1)
        #expect(pool.effects.last == .grant(WaiterID(rawValue: 1), try #require(pool.leases[1]), idleSince: nil))
    }

    @Test func `lends an idle connection at once and says since when it was idle`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1)
        let parked = pool.now
        pool.advance(by: .seconds(3))
        let lease = pool.request(2)
        #expect(pool.effects.last == .grant(WaiterID(rawValue: 2), try #require(lease), idleSince: parked))
    }

    @Test(arguments: [0, 2]) func `lends an idle connection without a waiter as it does for one`(minimumIdle: Int)
        throws
    {
        var pool = ScriptedPool(PoolConfiguration(size: 4, maxOverflow: 0, minimumIdle: minimumIdle))
        try pool.checkOut(1)
        pool.giveBack(1)
        pool.advance(by: .seconds(3))
        var (waited, direct) = (pool.machine, pool.machine)
        var (answers, others) = (PoolEffects(), PoolEffects())
        let request = PoolEvent.requested(WaiterID(rawValue: 2), deadline: pool.now + .seconds(1), owner: 9)
        waited.apply(request, at: pool.now, into: &answers)
        let loan = try #require(direct.lendIdle(owner: 9, at: pool.now, into: &others))
        #expect(answers.first == .grant(WaiterID(rawValue: 2), loan.lease, idleSince: loan.idleSince))
        #expect(Array(answers.dropFirst()) == Array(others) && waited == direct)
        #expect(direct.lendIdle(owner: 9, at: pool.now, into: &others) == nil)

        waited.apply(.returned(loan.lease, .clean), at: pool.now, into: &answers)
        direct.giveBack(loan.lease, .clean, at: pool.now, into: &others)
        #expect(Array(answers.dropFirst()) == Array(others) && waited == direct)
    }

    @Test func `hands a returned connection straight to whoever waited longest`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2)
        pool.request(3)
        let effects = pool.giveBack(1)
        #expect(effects == [.grant(WaiterID(rawValue: 2), try #require(pool.leases[2]), idleSince: nil)])
        pool.giveBack(2)
        #expect(pool.grantOrder == [1, 2, 3])
    }

    @Test func `gives a waiter whichever comes first, a returned connection or a new one`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1)
        pool.request(2)
        #expect(pool.connecting.count == 1)
        pool.giveBack(1)
        #expect(pool.leases[2]?.connection == pool.leases[1]?.connection)
        pool.connect()
        #expect(pool.snapshot.idle == 1)
    }

    @Test func `lets a connect continue when its caller gives up`() throws {
        var pool = ScriptedPool(size: 1)
        pool.request(1)
        pool.cancel(1)
        #expect(pool.refusals[1] == .cancelled)
        pool.connect()
        #expect(pool.snapshot.idle == 1)
        let lease = pool.request(2)
        #expect(lease != nil)
    }

    @Test func `ignores a lease that is returned twice`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1)
        let second = pool.giveBack(1, .broken)
        #expect(second.isEmpty && pool.snapshot.idle == 1)
        try pool.checkOut(2)
        let third = pool.giveBack(1, .broken)
        #expect(third.isEmpty)
        #expect(pool.snapshot.leased == 1)
    }

    @Test func `ignores a cancellation that comes after the grant`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.cancel(1)
        #expect(pool.refusals[1] == nil)
        #expect(pool.snapshot.leased == 1)
    }

    @Test(arguments: [PoolConfiguration.Order.lifo, .fifo])
    func `lends idle connections in the configured order`(order: PoolConfiguration.Order) throws {
        var pool = ScriptedPool(PoolConfiguration(size: 3, maxOverflow: 0, order: order))
        try pool.checkOut(1...3)
        for waiter in UInt64(1)...3 { pool.giveBack(waiter) }
        try pool.checkOut(4)
        #expect(try pool.connection(of: 4) == pool.connection(of: order == .lifo ? 3 : 1))
    }
}

@Suite struct `A full pool` {
    @Test func `serves waiters in arrival order`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        for waiter in UInt64(2)...20 { pool.request(waiter) }
        for waiter in UInt64(1)...20 { pool.giveBack(waiter) }
        #expect(pool.grantOrder == Array(1...20))
    }

    @Test func `passes over those who gave up`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        for waiter in UInt64(2)...5 { pool.request(waiter) }
        pool.cancel(2)
        pool.cancel(4)
        pool.giveBack(1)
        pool.giveBack(3)
        #expect(pool.grantOrder == [1, 3, 5])
    }

    @Test func `tells a waiter at its own deadline, not before`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2, timeout: .milliseconds(500))
        pool.request(3, timeout: .milliseconds(200))
        pool.advance(by: .milliseconds(199))
        #expect(pool.refusals.isEmpty)
        pool.advance(by: .milliseconds(1))
        #expect(pool.refusals[3] == .timedOut(TimeoutCircumstances()))
        #expect(pool.refusals[2] == nil)
        pool.advance(by: .milliseconds(300))
        #expect(pool.refusals[2] == .timedOut(TimeoutCircumstances()))
        #expect(pool.snapshot.timeouts == 2)
    }

    @Test func `refuses one request more than its queue may hold`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, maxWaiters: 2))
        try pool.checkOut(1)
        pool.request(2)
        pool.request(3)
        pool.request(4)
        #expect(pool.refusals == [4: .tooManyWaiters])
        #expect(pool.snapshot.waiting == 2)
    }

    @Test func `with a queue of none still opens what it has room for`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 2, maxOverflow: 0, maxWaiters: 0))
        pool.request(1)
        pool.request(2)
        pool.request(3)
        #expect(pool.refusals == [3: .tooManyWaiters])
        pool.connect()
        pool.connect()
        #expect(pool.grantOrder == [1, 2])
    }

    @Test func `names a task that waits for itself`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1, owner: 7)
        pool.request(2, timeout: .milliseconds(100), owner: 7)
        pool.request(3, timeout: .milliseconds(100), owner: 8)
        pool.advance(by: .milliseconds(100))
        #expect(pool.refusals[2] == .timedOut(TimeoutCircumstances(ownerHoldsLease: true)))
        #expect(pool.refusals[3] == .timedOut(TimeoutCircumstances(ownerHoldsLease: false)))
    }

    @Test func `serves a health check before the requests that came earlier`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2)
        pool.request(3, urgent: true)
        pool.giveBack(1)
        #expect(pool.grantOrder == [1, 3])
    }

    @Test func `opens a reserved connection for a health check, and closes it afterwards`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, urgentReserve: 1))
        try pool.checkOut(1)
        pool.request(2)
        #expect(pool.connecting.isEmpty)
        pool.request(3, urgent: true)
        pool.connect()
        #expect(pool.grantOrder == [1, 3])
        pool.giveBack(3)
        #expect(pool.closeReasons == [.overCapacity])
        pool.finishClosing()
        pool.giveBack(1)
        #expect(pool.grantOrder == [1, 3, 2])
    }
}

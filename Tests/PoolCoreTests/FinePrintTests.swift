import PoolCore
import Testing

@Suite struct `A pool's fine print` {
    @Test func `an urgent request is not refused where the queue is full, and is served first`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, maxWaiters: 1))
        try pool.checkOut(1)
        pool.request(2)
        pool.request(3)
        pool.request(4, urgent: true)
        #expect(pool.refusals == [3: .tooManyWaiters])
        pool.giveBack(1)
        #expect(pool.grantOrder == [1, 4])
    }

    @Test func `a connection from the reserve is kept for urgent requests only as far as the reserve goes`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 3, maxOverflow: 0, urgentReserve: 1))
        try pool.checkOut(1...3)
        pool.send(.resized(size: 1, maxOverflow: 0))
        pool.request(4, urgent: true)
        pool.giveBack(1)
        #expect(pool.closeReasons == [.overCapacity] && pool.leases[4] == nil)
        pool.giveBack(2)
        #expect(pool.leases[4] != nil)
    }

    @Test func `every loan that lasts too long is reported once, also the next one of the same connection`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, leakThreshold: .seconds(1)))
        for waiter in UInt64(1)...2 {
            try pool.checkOut(waiter)
            pool.advance(by: .seconds(5))
            pool.giveBack(waiter)
        }
        #expect(pool.suspectedLeases == pool.grantOrder.compactMap { pool.leases[$0] })
    }

    @Test func `a ping or a reset is not taken to hang before its own time is up`() throws {
        let configuration = PoolConfiguration(size: 2, maxOverflow: 0, prePingAlways: true)
        var pinging = ScriptedPool(configuration)
        try pinging.checkOut(1)
        var resetting = pinging
        pinging.giveBack(1)
        pinging.advance(by: .seconds(10))
        pinging.request(2)
        resetting.advance(by: .seconds(10))
        resetting.giveBack(1, .needsReset)
        resetting.request(2)
        #expect(pinging.validating.count == 1 && resetting.resetting.count == 1)
        for var pool in [pinging, resetting] {
            pool.advance(by: configuration.growth.stall - 1)
            #expect(pool.connecting.isEmpty)
            pool.advance(by: 1)
            #expect(pool.connecting.count == 1)
        }
    }

    @Test(arguments: [false, true])
    func `a connection that was given up while it was busy is closed for that reason`(isPing: Bool) throws {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, prePingAlways: isPing))
        try pool.checkOut(1)
        pool.giveBack(1, isPing ? .clean : .needsReset)
        pool.request(2)
        pool.send(.connectionInvalidated(try pool.connection(of: 1)))
        if isPing { pool.answerPing(false) } else { pool.finishReset(false) }
        #expect(pool.closeReasons == [.invalidated])
    }

    @Test func `a connection that is invalidated before it is open serves nobody; an early end is the connect's own`() {
        var pool = ScriptedPool(size: 1)
        pool.request(1)
        pool.send(.connectionInvalidated(pool.connecting[0]))
        pool.connect()
        #expect(pool.closeReasons == [.invalidated] && pool.leases.isEmpty)
        pool.finishClosing()
        pool.send(.died(pool.connecting[0]))
        pool.connect()
        #expect(pool.grantOrder == [1])
    }

    @Test func `a connection is opened once, however often that is said`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.send(.connected(try pool.connection(of: 1)))
        #expect(pool.snapshot.opened == 1 && pool.snapshot.leased == 1)
    }

    @Test func `an attempt that a shutdown ends was never open, and is not counted as closed`() {
        var pool = ScriptedPool(size: 1)
        pool.request(1)
        let id = pool.connecting[0]
        pool.send(.shutdown(forceAt: pool.now))
        pool.send(.connectFailed(id, .transient))
        #expect(pool.snapshot.closed == 0 && pool.snapshot.opened == 0 && pool.shutdownsCompleted == 1)
    }

    @Test func `idle connections beyond a smaller size are closed, though there is room`() throws {
        var pool = ScriptedPool(size: 3)
        try pool.checkOut(1...3)
        for waiter in UInt64(1)...3 { pool.giveBack(waiter) }
        pool.send(.resized(size: 1, maxOverflow: 10))
        #expect(pool.closeReasons == [.overCapacity, .overCapacity] && pool.snapshot.idle == 1)
    }

    @Test func `warming up ends with what the size allows, a smaller size, or a shutdown`() {
        let configuration = PoolConfiguration(size: 2, maxOverflow: 4, minimumIdle: 5)
        var whole = ScriptedPool(configuration)
        whole.send(.warmUp)
        var (smaller, ended) = (whole, whole)
        while !whole.connecting.isEmpty { whole.connect() }
        #expect(whole.warmUps == [true] && whole.snapshot.opened == 2)
        smaller.connect()
        #expect(smaller.warmUps.isEmpty)
        smaller.send(.resized(size: 1, maxOverflow: 1))
        #expect(smaller.warmUps == [true])
        ended.send(.shutdown(forceAt: ended.now))
        #expect(ended.warmUps == [false])
    }
}

@Suite struct `A server that refuses for good` {
    private func configuration(_ size: Int) -> PoolConfiguration {
        PoolConfiguration(
            size: size, maxOverflow: 0, backoff: PoolConfiguration.Backoff(base: .milliseconds(100), jitter: 0),
            permanentBackoff: PoolConfiguration.Backoff(
                base: .seconds(1), cap: .seconds(30), capForWaiters: .seconds(5), jitter: 0))
    }

    @Test func `is asked once for those it has refused meanwhile, at its own pace, and not for ever`() {
        var pool = ScriptedPool(configuration(1))
        pool.request(1)
        pool.failConnect(.permanent)
        pool.request(2)
        #expect(pool.refusals == [1: .connectFailed, 2: .connectFailed])
        pool.advance(by: .seconds(20))
        #expect(pool.connectTimes.count == 2 && pool.connectTimes[1] - pool.connectTimes[0] == .seconds(1))
        pool.failConnect(.permanent)
        pool.advance(by: .seconds(3600))
        #expect(pool.connectTimes.count == 2)
    }

    @Test func `costs those who come later nothing that somebody else gives back`() throws {
        var pool = ScriptedPool(configuration(2))
        try pool.checkOut(1)
        pool.request(2)
        pool.failConnect(.permanent)
        pool.request(3)
        pool.giveBack(1)
        #expect(pool.refusals == [2: .connectFailed] && pool.leases[3] != nil)
    }

    @Test func `is not stormed, however often it has refused`() {
        var slow = configuration(1)
        slow.outageTolerance = nil
        slow.backoff = PoolConfiguration.Backoff(base: .seconds(20), cap: .seconds(60), jitter: 0)
        var pool = ScriptedPool(slow)
        pool.request(1, timeout: .seconds(36_000))
        for _ in 0..<50 {
            pool.failConnect()
            #expect(pool.connecting.isEmpty)
            pool.advance(by: .seconds(60))
            #expect(pool.connecting.count == 1)
        }
    }
}

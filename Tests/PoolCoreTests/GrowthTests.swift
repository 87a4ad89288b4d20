import PoolCore
import Testing

@Suite struct `Growing` {
    @Test func `opens one connection for each request that comes alone`() throws {
        var pool = ScriptedPool(size: 3, overflow: 2)
        try pool.checkOut(1...5)
        #expect(pool.snapshot.leased == 5)
        pool.request(6)
        #expect(pool.connecting.isEmpty && pool.snapshot.waiting == 1)
    }

    @Test func `never has more connections under way than waiters`() {
        var pool = ScriptedPool(size: 10, overflow: 10)
        for waiter in UInt64(1)...3 { pool.request(waiter) }
        #expect(pool.connecting.count == 3)
    }

    @Test(arguments: [(5, 45, 0), (50, 0, 0), (50, 0, 5), (5, 45, 5)])
    func `opens at most six connections for a spike of fifty short requests`(size: Int, overflow: Int, warm: Int) {
        // HikariCP's spike: connecting takes 150 ms, the work 2 ms.
        let configuration = PoolConfiguration(size: size, maxOverflow: overflow, minimumIdle: warm)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(150), holdTime: .milliseconds(2))
        if warm > 0 {
            lively.warmUp()
            lively.run(for: .seconds(5))
            #expect(lively.pool.snapshot.idle == warm)
        }
        let start = lively.pool.now
        lively.request(1...50)
        lively.run(for: .seconds(2))
        #expect(lively.pool.grantOrder == Array(1...50))
        #expect(lively.pool.snapshot.opened <= 6)
        #expect(lively.grantTimes[50].map { $0 - start <= .milliseconds(200) } == true)
    }

    /// A machine that is short of processor time makes them so.
    @Test func `opens at most six connections for a spike of fifty requests that are not that short`() {
        let configuration = PoolConfiguration(size: 10, maxOverflow: 40)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(150), holdTime: .milliseconds(9))
        lively.request(1...50)
        lively.run(for: .seconds(2))
        #expect(lively.pool.grantOrder == Array(1...50))
        #expect(lively.pool.snapshot.opened <= 6)
    }

    @Test func `opens more than the first few where they take long to open`() {
        let configuration = PoolConfiguration(size: 10, maxOverflow: 40)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(800), holdTime: .milliseconds(2))
        lively.request(1...50)
        lively.run(for: .milliseconds(799))
        #expect(lively.pool.snapshot.connecting == 8)
        lively.run(for: .seconds(2))
        #expect(lively.pool.grantOrder == Array(1...50))
    }

    @Test func `opens one more when what is under way takes too long`() {
        let configuration = PoolConfiguration(size: 5, maxOverflow: 0)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(10), holdTime: .seconds(60))
        lively.hanging = [1]
        lively.request(1...1)
        lively.run(for: .milliseconds(50))
        lively.request(2...3)
        lively.run(for: .milliseconds(109))
        #expect(lively.pool.grantOrder == [1])
        lively.run(for: .milliseconds(2))
        #expect(lively.pool.grantOrder == [1, 2])
        lively.run(for: .milliseconds(1000))
        #expect(lively.pool.grantOrder == [1, 2, 3])
        #expect(lively.pool.snapshot.opened == 3)
    }

    @Test func `keeps the minimum of idle connections ready in the background`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 4, maxOverflow: 0, minimumIdle: 2))
        try pool.checkOut(1)
        while !pool.connecting.isEmpty { pool.connect() }
        #expect(pool.snapshot.idle == 2)
        pool.request(2)
        pool.connect()
        #expect(pool.snapshot.idle == 2 && pool.snapshot.leased == 2)
        pool.send(.died(try pool.connection(of: 1)))
        pool.giveBack(1)
        pool.finishClosing()
        while !pool.connecting.isEmpty { pool.connect() }
        #expect(pool.snapshot.idle >= 2)
    }

    @Test func `warms up to its minimum, or says that it could not`() {
        var pool = ScriptedPool(PoolConfiguration(size: 4, maxOverflow: 0, minimumIdle: 2))
        pool.send(.warmUp)
        pool.connect()
        #expect(pool.warmUps.isEmpty)
        pool.connect()
        #expect(pool.warmUps == [true])
        #expect(pool.snapshot.idle == 2)
        var refused = ScriptedPool(size: 4)
        refused.send(.warmUp)
        refused.failConnect(.permanent)
        #expect(refused.warmUps == [false])
    }

    @Test func `with no limit opens as many as are wanted`() throws {
        var pool = ScriptedPool(size: 1, overflow: nil)
        try pool.checkOut(1...200)
        for waiter in UInt64(1)...200 { pool.giveBack(waiter) }
        #expect(pool.snapshot.idle == 1)
        #expect(pool.closeReasons == Array(repeating: .overflow, count: 199))
    }
}

@Suite struct `Growing and shrinking at run time` {
    @Test func `serves waiters at once when there is more room`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2)
        #expect(pool.connecting.isEmpty)
        pool.send(.resized(size: 2, maxOverflow: 0))
        pool.connect()
        #expect(pool.grantOrder == [1, 2])
    }

    @Test func `closes idle connections first, lent ones at their return, and nobody is dropped`() throws {
        var pool = ScriptedPool(size: 4)
        try pool.checkOut(1...4)
        pool.giveBack(1)
        pool.send(.resized(size: 2, maxOverflow: 0))
        #expect(pool.closeReasons == [.overCapacity])
        #expect(pool.snapshot.leased == 3)
        pool.giveBack(2)
        pool.giveBack(3)
        #expect(pool.closeReasons == [.overCapacity, .overCapacity])
        pool.giveBack(4)
        pool.finishClosing()
        #expect(pool.snapshot.idle == 2 && pool.snapshot.live == 2)
    }
}

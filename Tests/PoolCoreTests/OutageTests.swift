import PoolCore
import Testing

@Suite struct `An outage` {
    @Test func `brings one attempt at a time, later up to half a second, and never a storm`() {
        let configuration = PoolConfiguration(size: 20, maxOverflow: 0, outageTolerance: nil)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(1), holdTime: .milliseconds(1))
        lively.isServerUp = false
        for second in 0..<30 {
            let first = UInt64(second * 10 + 1)
            lively.request(first...first + 9, after: .seconds(Int64(second)))
        }
        lively.run(for: .seconds(30))
        let times = lively.pool.connectTimes.map(\.nanoseconds)
        let perSecond = Dictionary(grouping: times) { $0 / .seconds(1) }.mapValues(\.count)
        #expect(perSecond.values.max().map { $0 <= 10 } == true)
        #expect(times.count < 150)
        let gaps = zip(times.dropFirst(6), times.dropFirst(5)).map { $0 - $1 }
        #expect(gaps.allSatisfy { $0 >= .milliseconds(50) && $0 <= .milliseconds(502) })
    }

    /// However long it lasted, and whatever chance had in store for the last pause.
    @Test(arguments: UInt64(0)..<50)
    func `ends for those who wait within half a second after the server's return`(seed: UInt64) {
        var lively = LivelyPool(
            PoolConfiguration(size: 5, maxOverflow: 0, outageTolerance: nil, seed: seed),
            connectTime: .milliseconds(1), holdTime: .milliseconds(1))
        lively.isServerUp = false
        lively.request(1...10)
        lively.run(for: .seconds(25))
        lively.isServerUp = true
        lively.run(for: .milliseconds(510))
        #expect(lively.pool.grantOrder.count == 10)
        #expect(!lively.pool.snapshot.isServerRefusing)
    }

    @Test(arguments: UInt64(0)..<50)
    func `is no longer met by who comes half a second after the server's return`(seed: UInt64) {
        var lively = LivelyPool(
            PoolConfiguration(size: 5, maxOverflow: 0, minimumIdle: 1, seed: seed),
            connectTime: .milliseconds(1), holdTime: .milliseconds(1))
        lively.isServerUp = false
        lively.request(1...10)
        lively.run(for: .seconds(120))
        #expect(lively.pool.refusals.count == 10)
        lively.isServerUp = true
        lively.run(for: .milliseconds(500))
        lively.request(11...11)
        lively.run(for: .milliseconds(5))
        #expect(lively.pool.grantOrder == [11])
    }

    @Test func `is asked about less often while only the minimum is short`() {
        var lively = LivelyPool(
            PoolConfiguration(size: 5, maxOverflow: 0, minimumIdle: 1), connectTime: .milliseconds(1), holdTime: 0)
        lively.isServerUp = false
        lively.request(1...1)
        lively.run(for: .seconds(60))
        let attempts = lively.pool.connectTimes.count
        lively.run(for: .seconds(60))
        #expect((12...40).contains(lively.pool.connectTimes.count - attempts))
    }

    @Test func `does not keep who asks for a warm-up waiting`() {
        var configuration = PoolConfiguration(size: 1, maxOverflow: 0, minimumIdle: 1)
        configuration.backoff = PoolConfiguration.Backoff(cap: .seconds(60), jitter: 0)
        var pool = ScriptedPool(configuration)
        pool.send(.warmUp)
        for _ in 0..<8 {
            while !pool.connecting.isEmpty { pool.failConnect() }
            pool.advance(by: .seconds(60))
        }
        while !pool.connecting.isEmpty { pool.failConnect() }
        pool.send(.warmUp)
        pool.advance(by: .milliseconds(500))
        while !pool.connecting.isEmpty { pool.connect() }
        #expect(pool.warmUps == [false, true])
    }

    @Test func `leaves returned connections to those who wait`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1)
        pool.request(2)
        pool.failConnect()
        #expect(pool.refusals.isEmpty)
        pool.giveBack(1)
        #expect(pool.grantOrder == [1, 2])
    }

    @Test func `is named in the time-out of those who waited in vain`() {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, outageTolerance: nil))
        pool.request(1, timeout: .milliseconds(10))
        pool.failConnect()
        pool.advance(by: .milliseconds(10))
        #expect(pool.refusals[1] == .timedOut(TimeoutCircumstances(connectFailed: true)))
    }

    @Test func `of some length is answered at once, and tried again for the next request`() {
        var configuration = PoolConfiguration(size: 1, maxOverflow: 0, outageTolerance: .seconds(5))
        configuration.backoff = PoolConfiguration.Backoff(base: .milliseconds(100), cap: .seconds(1))
        var lively = LivelyPool(configuration, connectTime: .milliseconds(1), holdTime: .milliseconds(1))
        lively.isServerUp = false
        lively.request(1...1)
        lively.run(for: .seconds(7))
        #expect(lively.pool.refusals[1] == .connectFailed)
        lively.request(2...2, after: .milliseconds(1500))
        lively.run(for: .milliseconds(1501))
        #expect(lively.pool.refusals[2] == .connectFailed || lively.pool.snapshot.connecting == 1)
        lively.isServerUp = true
        lively.run(for: .milliseconds(1001))
        lively.request(3...3)
        lively.run(for: .milliseconds(10))
        #expect(lively.pool.grantOrder.contains(3))
    }

    @Test func `that began long ago and was forgotten counts anew`() {
        var configuration = PoolConfiguration(size: 1, maxOverflow: 0, outageTolerance: .seconds(5))
        configuration.backoff = PoolConfiguration.Backoff(base: .milliseconds(100), cap: .seconds(1))
        var pool = ScriptedPool(configuration)
        pool.request(1, timeout: .milliseconds(10))
        pool.failConnect()
        pool.advance(by: .seconds(3600))
        pool.request(2)
        pool.failConnect()
        #expect(pool.refusals[2] == nil)
    }

    @Test func `of a kind that time does not heal fails everybody at once, with one failed login`() throws {
        var pool = ScriptedPool(size: 3)
        try pool.checkOut(1)
        for waiter in UInt64(2)...9 { pool.request(waiter) }
        #expect(pool.connecting.count == 1)
        pool.failConnect(.permanent)
        #expect(pool.refusals.count == 8)
        #expect(pool.refusals.values.allSatisfy { $0 == .connectFailed })
        #expect(pool.connecting.isEmpty)
        pool.giveBack(1, .broken)
        pool.finishClosing()
        pool.request(10)
        #expect(pool.refusals[10] == .connectFailed)
        pool.advance(by: .seconds(1))
        #expect(pool.connecting.count == 1)
        pool.connect()
        pool.request(11)
        #expect(pool.grantOrder == [1, 11])
    }

    @Test(arguments: UInt64(0)..<20)
    func `of a kind that time does not heal is over for callers five seconds after its cause`(seed: UInt64) {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, seed: seed))
        for waiter in UInt64(1)...60 {
            pool.request(waiter)
            while !pool.connecting.isEmpty { pool.failConnect(.permanent) }
            pool.advance(by: .seconds(1))
        }
        #expect((10...30).contains(pool.snapshot.connectAttempts))
        while !pool.connecting.isEmpty { pool.failConnect(.permanent) }
        pool.advance(by: .seconds(5))
        while !pool.connecting.isEmpty { pool.connect() }
        pool.request(61)
        while !pool.connecting.isEmpty { pool.connect() }
        #expect(pool.grantOrder == [61])
    }

    /// H154.
    @Test func `that takes the minimum's connections one after the other leaves the books right`() {
        var pool = ScriptedPool(PoolConfiguration(size: 2, maxOverflow: 0, minimumIdle: 2, outageTolerance: nil))
        pool.send(.warmUp)
        while !pool.connecting.isEmpty { pool.connect() }
        for connection in pool.machine.connections {
            pool.send(.died(connection.id))
            pool.finishClosing()
            for _ in 0..<8 {
                pool.advance(by: .seconds(1))
                while !pool.connecting.isEmpty { pool.failConnect() }
            }
        }
        #expect(pool.snapshot.live == 0 && pool.snapshot.opened == 2 && pool.snapshot.closed == 2)
        #expect(pool.snapshot.connectFailures == pool.snapshot.connectAttempts - 2)
        pool.advance(by: .seconds(6))
        while !pool.connecting.isEmpty { pool.connect() }
        #expect(pool.snapshot.idle == 2 && pool.snapshot.opened == 4 && !pool.snapshot.isServerRefusing)
    }

    @Test func `counts many failures at once as one`() {
        var configuration = PoolConfiguration(size: 5, maxOverflow: 0)
        configuration.backoff.jitter = 0
        var pool = ScriptedPool(configuration)
        for waiter in UInt64(1)...5 { pool.request(waiter) }
        while !pool.connecting.isEmpty { pool.failConnect() }
        #expect(pool.machine.nextDeadline == pool.now + .milliseconds(100))
    }
}

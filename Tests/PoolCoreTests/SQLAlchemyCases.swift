import PoolCore
import Testing

/// The cases A to K of `docs/pool-deviations.md` that a fake server and a clock can decide. The number is the case's.
@Suite struct `SQLAlchemy's sizing` {
    /// size, idle, overflow, checked out: as QueuePool counts them.
    private func counts(_ pool: ScriptedPool) -> [Int] {
        let now = pool.snapshot
        return [now.size, now.idle, now.idle + now.leased - now.size, now.leased]
    }

    @Test func `A01 A02: six taken from an unlimited pool of three, three kept at their return`() throws {
        var pool = ScriptedPool(size: 3, overflow: nil)
        var seen: [[Int]] = []
        for waiter in UInt64(1)...6 {
            try pool.checkOut(waiter)
            seen.append(counts(pool))
        }
        #expect(seen == [[3, 0, -2, 1], [3, 0, -1, 2], [3, 0, 0, 3], [3, 0, 1, 4], [3, 0, 2, 5], [3, 0, 3, 6]])
        for waiter in UInt64(1)...3 { pool.giveBack(waiter) }
        #expect(counts(pool) == [3, 3, 3, 3])
        for waiter in UInt64(4)...6 { pool.giveBack(waiter) }
        pool.finishClosing()
        #expect(counts(pool) == [3, 3, 0, 0] && pool.snapshot.closed == 3)
    }

    @Test func `A04: five rounds of four from a pool of two and two open twelve and close ten`() throws {
        var pool = ScriptedPool(size: 2, overflow: 2)
        for round in UInt64(0)..<5 {
            try pool.checkOut(round * 4 + 1...round * 4 + 4)
            for waiter in round * 4 + 1...round * 4 + 4 { pool.giveBack(waiter) }
            pool.finishClosing()
        }
        #expect(pool.snapshot.opened == 12 && pool.snapshot.closed == 10 && pool.snapshot.idle == 2)
    }

    @Test(arguments: [0, 5])
    func `A05 A06: forty workers on three connections never exceed the overflow`(overflow: Int) {
        let configuration = PoolConfiguration(size: 3, maxOverflow: overflow)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(50), holdTime: .milliseconds(20))
        for round in UInt64(0)..<10 {
            lively.request(round * 40 + 1...round * 40 + 40, after: .milliseconds(Int64(round) * 30))
        }
        var most = 0
        while lively.pool.snapshot.checkouts < 400, lively.pool.now.nanoseconds < .seconds(60) {
            lively.run(for: .milliseconds(5))
            most = max(most, lively.pool.snapshot.live)
        }
        #expect(most <= 3 + overflow && lively.pool.snapshot.checkouts == 400)
    }

    @Test func `A08: a failed connect gives its place back`() throws {
        var pool = ScriptedPool(size: 2, overflow: 3)
        try pool.checkOut(1...3)
        pool.request(4)
        pool.failConnect()
        #expect(counts(pool) == [2, 0, 1, 3] && pool.snapshot.live == 3)
    }

    @Test func `A09: a connect that hangs holds up only its own place`() {
        let configuration = PoolConfiguration(size: 2, maxOverflow: 3)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(10), holdTime: .seconds(60))
        lively.hanging = [2]
        for worker in UInt64(1)...5 { lively.request(worker...worker, after: .milliseconds(Int64(worker) * 200)) }
        lively.run(for: .seconds(2))
        #expect(lively.pool.grantOrder == [1, 2, 3, 4])
    }

    @Test func `A10 H04: replacing everything opens nothing by itself, and the pool works again`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1)
        pool.giveBack(1)
        pool.send(.invalidated)
        pool.finishClosing()
        #expect(pool.connecting.isEmpty && pool.snapshot.live == 0)
        try pool.checkOut(2)
    }

    @Test func `A14: a pool of one without a queue refuses the second, and serves again after the first`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, maxWaiters: 0))
        try pool.checkOut(1)
        pool.request(2)
        #expect(pool.refusals == [2: .tooManyWaiters])
        pool.giveBack(1)
        pool.checkOutAgain(3)
    }
}

@Suite struct `SQLAlchemy's waiting` {
    @Test func `B01: the fourth of three waits for the whole time-out and leaks nothing`() throws {
        var pool = ScriptedPool(size: 3)
        try pool.checkOut(1...3)
        pool.request(4, timeout: .seconds(2))
        pool.advance(by: .seconds(2) - 1)
        #expect(pool.refusals.isEmpty)
        pool.advance(by: 1)
        #expect(pool.refusals[4] == .timedOut(TimeoutCircumstances()))
        for waiter in UInt64(1)...3 { pool.giveBack(waiter) }
        #expect(pool.snapshot.idle == 3 && pool.snapshot.waiting == 0)
    }

    @Test func `B02: half a second is half a second`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2, timeout: .milliseconds(500))
        pool.advance(by: .milliseconds(220))
        #expect(pool.refusals.isEmpty)
        pool.advance(by: .milliseconds(370))
        #expect(pool.refusals[2] != nil)
    }

    @Test func `B05: a second checkout by the same task times out and says why`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1, owner: 1)
        pool.request(2, timeout: .milliseconds(100), owner: 1)
        pool.advance(by: .milliseconds(100))
        #expect(pool.refusals[2] == .timedOut(TimeoutCircumstances(ownerHoldsLease: true)))
    }

    @Test func `B06: a time-out of zero is answered at once`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2, timeout: 0)
        #expect(pool.refusals[2] == .timedOut(TimeoutCircumstances()))
        pool.giveBack(1)
        let lease = pool.request(3, timeout: 0)
        #expect(lease != nil)
    }

    @Test func `B08: five waiters share the one connection that replaces an invalidated one`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        for waiter in UInt64(2)...6 { pool.request(waiter) }
        pool.send(.invalidated)
        pool.giveBack(1)
        pool.finishClosing()
        pool.connect()
        for waiter in UInt64(2)...6 { pool.giveBack(waiter) }
        #expect(pool.grantOrder == Array(1...6) && pool.snapshot.opened == 2)
    }

    @Test func `B09, deviating: a failed connect wakes whoever can use its place`() {
        var pool = ScriptedPool(size: 1)
        pool.request(1, timeout: .milliseconds(20))
        pool.request(2)
        pool.failConnect()
        pool.advance(by: .milliseconds(100))
        #expect(pool.connecting.count == 1 && pool.refusals.keys.sorted() == [1])
        pool.connect()
        #expect(pool.grantOrder == [2])
    }

    @Test func `B10: ten at once on a pool that was replaced before its first use`() {
        let configuration = PoolConfiguration(size: 10, maxOverflow: 10)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(5), holdTime: .seconds(1))
        lively.request(1...10)
        lively.run(for: .milliseconds(500))
        #expect(lively.pool.grantOrder.count == 10)
    }
}

@Suite struct `SQLAlchemy's order, age and pre-ping` {
    private func threeReturned(_ order: PoolConfiguration.Order) throws -> ScriptedPool {
        var pool = ScriptedPool(PoolConfiguration(size: 3, maxOverflow: 0, order: order))
        try pool.checkOut(1...3)
        for waiter in UInt64(1)...3 { pool.giveBack(waiter) }
        return pool
    }

    @Test func `C01: first in, first out`() throws {
        var pool = try threeReturned(.fifo)
        try pool.checkOut(4)
        pool.giveBack(4)
        try pool.checkOut(5...7)
        let taken = try (UInt64(4)...7).map { try pool.connection(of: $0).slot }
        #expect(taken == [0, 1, 2, 0])
    }

    @Test func `C02: last in, first out, for ever`() throws {
        var pool = try threeReturned(.lifo)
        for waiter in UInt64(4)...8 {
            pool.checkOutAgain(waiter)
            #expect(try pool.connection(of: waiter).slot == 2)
            pool.giveBack(waiter)
        }
        try pool.checkOut(9...11)
        #expect(try (UInt64(9)...11).map { try pool.connection(of: $0).slot } == [2, 1, 0])
    }

    @Test func `D01: thirty seconds of life, the same after one, another after thirty-five`() throws {
        var pool = ScriptedPool(
            PoolConfiguration(size: 1, maxOverflow: 0, maxLifetime: .seconds(30), lifetimeJitter: 0))
        try pool.checkOut(1)
        pool.giveBack(1)
        pool.advance(by: .seconds(1))
        try pool.checkOut(2)
        #expect(try pool.connection(of: 2) == pool.connection(of: 1))
        pool.giveBack(2)
        pool.advance(by: .seconds(34))
        pool.finishClosing()
        try pool.checkOut(3)
        #expect(try pool.connection(of: 3).serial != pool.connection(of: 1).serial)
    }

    @Test func `D05: a closed connection's slot is used again, under another serial`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1, .broken)
        pool.finishClosing()
        try pool.checkOut(2)
        #expect(try pool.connection(of: 2).slot == pool.connection(of: 1).slot)
        #expect(try pool.connection(of: 2) != pool.connection(of: 1))
    }

    private var pinging: PoolConfiguration { PoolConfiguration(size: 1, maxOverflow: 0, prePingAlways: true) }

    private func pings(_ pool: ScriptedPool) -> Int {
        pool.effects.count { if case .validate = $0 { true } else { false } }
    }

    @Test func `E01: no ping for what is fresh, then exactly one for each loan`() throws {
        var pool = ScriptedPool(pinging)
        try pool.checkOut(1)
        #expect(pings(pool) == 0)
        pool.giveBack(1)
        for waiter in UInt64(2)...3 {
            pool.request(waiter)
            pool.answerPing(true)
            pool.giveBack(waiter)
        }
        #expect(pings(pool) == 2 && pool.grantOrder == [1, 2, 3])
    }

    @Test func `E02: no ping for what replaced an invalidated one`() throws {
        var pool = ScriptedPool(pinging)
        try pool.checkOut(1)
        pool.giveBack(1, .broken)
        pool.finishClosing()
        try pool.checkOut(2)
        #expect(pings(pool) == 0)
    }

    @Test func `E04, deviating: with the server stopped the waiter is told at its deadline, with the cause`() throws {
        var pool = ScriptedPool(pinging)
        try pool.checkOut(1)
        pool.giveBack(1)
        pool.request(2, timeout: .seconds(1))
        pool.answerPing(false)
        pool.finishClosing()
        while pool.refusals[2] == nil {
            if pool.connecting.isEmpty { pool.advance(by: .milliseconds(10)) } else { pool.failConnect() }
        }
        #expect(pool.refusals[2] == .timedOut(TimeoutCircumstances(connectFailed: true)))
    }

    @Test func `E05: without pre-ping the loan succeeds and the error comes at the first statement`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1)
        pool.checkOutAgain(2)
        pool.giveBack(2, .broken)
        #expect(pool.closeReasons == [.broken])
    }

    @Test func `E16, deviating: a failed ping condemns that connection only`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 2, maxOverflow: 0, prePingAlways: true))
        try pool.checkOut(1...2)
        pool.giveBack(1)
        pool.giveBack(2)
        pool.request(3)
        pool.answerPing(false)
        #expect(pool.validating.count == 1 && pool.snapshot.generation == 0)
        pool.answerPing(true)
        #expect(try pool.connection(of: 3) == pool.connection(of: 1))
    }
}

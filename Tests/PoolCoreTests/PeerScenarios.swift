import PoolCore
import Testing

/// How the peers test their pools: the scenarios A to F of the survey, by their numbers.
@Suite struct `Peers' scenarios of size` {
    @Test func `A1: twenty borrowers on four connections open exactly four`() {
        let configuration = PoolConfiguration(size: 4, maxOverflow: 0)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(10), holdTime: .milliseconds(500))
        lively.request(1...20)
        lively.run(for: .seconds(5))
        #expect(lively.pool.snapshot.checkouts == 20 && lively.pool.snapshot.opened == 4)
    }

    @Test func `A2: five hundred short jobs end on the first connections, and none is added afterwards`() {
        let configuration = PoolConfiguration(size: 100, maxOverflow: 0)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(250), holdTime: 1000)
        lively.request(1...500)
        lively.run(for: .seconds(1))
        let opened = lively.pool.snapshot.opened
        #expect(lively.pool.snapshot.checkouts == 500 && opened <= 8)
        lively.run(for: .seconds(5))
        #expect(lively.pool.snapshot.opened == opened && lively.pool.snapshot.connecting == 0)
    }

    @Test func `A5 A6: warming up five is bounded in parallel and answered once`() {
        let configuration = PoolConfiguration(size: 5, maxOverflow: 0, minimumIdle: 5)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(100), holdTime: 0)
        lively.warmUp()
        #expect((1...5).contains(lively.pool.snapshot.connecting))
        lively.run(for: .milliseconds(600))
        #expect(lively.pool.snapshot.idle == 5 && lively.pool.warmUps == [true])
        lively.warmUp()
        #expect(lively.pool.warmUps == [true, true])
    }

    @Test func `A8: a pool that grew shrinks to its minimum when idle`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 4, maxOverflow: 0, idleTimeout: .seconds(60), minimumIdle: 1))
        try pool.checkOut(1...4)
        for waiter in UInt64(1)...4 { pool.giveBack(waiter) }
        pool.advance(by: .seconds(61))
        #expect(pool.snapshot.idle == 1)
    }

    @Test func `A10: waiters get their connections at once when the pool grows`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        for waiter in UInt64(2)...4 { pool.request(waiter) }
        pool.send(.resized(size: 4, maxOverflow: 0))
        while !pool.connecting.isEmpty { pool.connect() }
        #expect(pool.grantOrder == [1, 2, 3, 4])
    }

    @Test func `A12 A17: what was lost is refilled to the minimum`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 3, maxOverflow: 0, minimumIdle: 2))
        pool.send(.warmUp)
        while !pool.connecting.isEmpty { pool.connect() }
        for connection in pool.machine.connections { pool.send(.died(connection.id)) }
        pool.finishClosing()
        while !pool.connecting.isEmpty { pool.connect() }
        #expect(pool.snapshot.idle == 2)
    }

    @Test func `A13: a limit of the largest integer costs nothing`() throws {
        var pool = ScriptedPool(size: .max, overflow: .max)
        try pool.checkOut(1)
        #expect(pool.snapshot.live == 1)
    }

    @Test func `A16: a minimum of none opens nothing before the first loan`() {
        var pool = ScriptedPool(size: 3)
        pool.advance(by: .seconds(3600))
        #expect(pool.effects.isEmpty)
    }

    @Test func `A18: long loans on a full pool bring no excess connections`() {
        let configuration = PoolConfiguration(size: 5, maxOverflow: 0)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(5), holdTime: .seconds(4))
        lively.request(1...20)
        lively.run(for: .seconds(25))
        #expect(lively.pool.snapshot.opened == 5 && lively.pool.grantOrder == Array(1...20))
    }
}

@Suite struct `Peers' scenarios of waiting` {
    @Test func `B22: a connection that comes back at 800 of 1000 ms serves at 800`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2, timeout: .seconds(1))
        pool.advance(by: .milliseconds(800))
        pool.giveBack(1)
        #expect(pool.grantOrder == [1, 2])
        pool.advance(by: .seconds(1))
        #expect(pool.refusals.isEmpty)
    }

    @Test func `B28 B33: two open at once, the server refuses, both are woken when one place works`() {
        var pool = ScriptedPool(size: 1)
        pool.request(1)
        pool.request(2)
        pool.failConnect()
        pool.advance(by: .milliseconds(100))
        pool.connect()
        pool.giveBack(1)
        #expect(pool.grantOrder == [1, 2])
    }

    @Test func `B36: cancelling in the middle of ten thousand is found at once, the next is served`() throws {
        var machine = PoolStateMachine(PoolConfiguration(size: 1, maxOverflow: 0))
        var effects = PoolEffects()
        let now = PoolInstant(nanoseconds: 0)
        for waiter in UInt64(0)..<10_000 {
            machine.apply(.requested(WaiterID(rawValue: waiter), deadline: .distantFuture), at: now, into: &effects)
        }
        for waiter in UInt64(0)..<9_999 {
            machine.apply(.cancelled(WaiterID(rawValue: waiter)), at: now, into: &effects)
        }
        effects.removeAll()
        machine.apply(.connected(ConnectionID(slot: 0, serial: 1)), at: now, into: &effects)
        #expect(effects.count == 1 && machine.snapshot.leased == 1 && machine.nextDeadline == nil)
    }

    @Test func `C56 C57: cancelled at every moment, no place is lost`() throws {
        // before the connect, while it runs, with the grant, after the return
        for moment in 0..<4 {
            var pool = ScriptedPool(size: 1)
            if moment == 0 { pool.cancel(1) }
            pool.request(1)
            if moment == 1 { pool.cancel(1) }
            pool.connect()
            if moment == 2 { pool.cancel(1) }
            if pool.leases[1] != nil { pool.giveBack(1) }
            if moment == 3 { pool.cancel(1) }
            #expect(pool.snapshot.idle == 1, "moment \(moment)")
            pool.checkOutAgain(2)
        }
    }
}

@Suite struct `Peers' scenarios of ending` {
    @Test func `D60 D64: a closing pool waits for what is lent, and closes it instead of keeping it`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.send(.shutdown(forceAt: .distantFuture))
        pool.advance(by: .seconds(3600))
        #expect(pool.shutdownsCompleted == 0)
        pool.giveBack(1)
        #expect(pool.closeReasons == [.shutDown])
    }

    @Test func `D66: a pool that was shut down is not used again`() {
        var pool = ScriptedPool(size: 1)
        pool.send(.shutdown(forceAt: pool.now))
        pool.send(.warmUp)
        pool.send(.resized(size: 5, maxOverflow: 5))
        pool.send(.invalidated)
        pool.request(1)
        #expect(pool.connecting.isEmpty && pool.warmUps == [false] && pool.refusals == [1: .shutDown])
    }

    @Test func `E77 E78: evicting what is idle, what is lent, and everything`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 3, maxOverflow: 0, minimumIdle: 1))
        try pool.checkOut(1...2)
        pool.giveBack(1)
        pool.send(.connectionInvalidated(try pool.connection(of: 1)))
        pool.send(.connectionInvalidated(try pool.connection(of: 2)))
        pool.giveBack(2)
        pool.send(.invalidated)
        pool.finishClosing()
        while !pool.connecting.isEmpty {
            pool.connect()
            pool.finishClosing()
        }
        #expect(pool.snapshot.idle >= 1 && pool.snapshot.closing == 0)
    }

    @Test func `E84: idle time does not run while a query does`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, idleTimeout: .milliseconds(100)))
        try pool.checkOut(1)
        pool.advance(by: .seconds(10))
        #expect(pool.closing.isEmpty)
    }

    @Test func `E89: a clock that jumps back moves nothing back`() throws {
        var machine = PoolStateMachine(PoolConfiguration(size: 1, maxOverflow: 0, idleTimeout: .seconds(10)))
        var effects = PoolEffects()
        let noon = PoolInstant(nanoseconds: .seconds(1000))
        machine.apply(.requested(WaiterID(rawValue: 1), deadline: noon + .seconds(5)), at: noon, into: &effects)
        machine.apply(.connected(ConnectionID(slot: 0, serial: 1)), at: noon - .seconds(500), into: &effects)
        let lease = LeaseID(connection: ConnectionID(slot: 0, serial: 1), number: 1)
        machine.apply(.returned(lease, .clean), at: noon - .seconds(900), into: &effects)
        machine.checkInvariants()
        machine.apply(.wokeUp, at: noon, into: &effects)
        #expect(machine.snapshot.idle == 1 && machine.exactDeadline == noon + .seconds(10))
    }

    @Test func `F92: three dead idle connections cost pings, not an error`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 3, maxOverflow: 0, prePingAlways: true))
        try pool.checkOut(1...3)
        for waiter in UInt64(1)...3 { pool.giveBack(waiter) }
        pool.request(4)
        for _ in 0..<3 { pool.answerPing(false) }
        pool.finishClosing()
        pool.connect()
        #expect(pool.grantOrder == [1, 2, 3, 4] && pool.refusals.isEmpty && pool.snapshot.opened == 4)
    }

    @Test func `F100: a restart under load costs the running ones, and nobody who comes after`() throws {
        var pool = ScriptedPool(size: 12)
        try pool.checkOut(1...12)
        for waiter in UInt64(11)...12 { pool.giveBack(waiter) }
        for connection in pool.machine.connections { pool.send(.died(connection.id)) }
        for waiter in UInt64(1)...10 { pool.giveBack(waiter, .broken) }
        pool.finishClosing()
        try pool.checkOut(13...24)
        #expect(pool.snapshot.leased == 12 && pool.refusals.isEmpty)
    }
}

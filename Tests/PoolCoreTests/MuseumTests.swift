import PoolCore
import Testing

/// Bugs that other pools had, each with its shortest story and its issue, so that it is never had here.
@Suite struct `The museum of bugs` {
    @Test func `psycopg_pool 509, 1275, 1345: cancelled at the instant of the grant, nothing is lost`() throws {
        // The grant comes first: the cancellation is ignored, the shell gives the lease back unused.
        var first = ScriptedPool(size: 1)
        try first.checkOut(1)
        first.request(2)
        first.giveBack(1)
        first.cancel(2)
        #expect(first.grantOrder == [1, 2] && first.refusals.isEmpty)
        first.giveBack(2)
        #expect(first.snapshot.idle == 1)
        // The cancellation comes first: the connection goes to the next one.
        var second = ScriptedPool(size: 1)
        try second.checkOut(1)
        second.request(2)
        second.request(3)
        second.cancel(2)
        second.giveBack(1)
        #expect(second.grantOrder == [1, 3] && second.refusals == [2: .cancelled])
    }

    @Test func `postgres-nio 436, 443: a connection that ends during its ping is closed once`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, prePingAlways: true))
        try pool.checkOut(1)
        pool.giveBack(1)
        pool.request(2)
        let id = pool.validating[0]
        pool.send(.died(id))
        pool.answerPing(false)
        let late = pool.send(.validated(id, true))
        #expect(late.isEmpty && pool.closing == [id])
        pool.finishClosing()
        pool.connect()
        #expect(pool.grantOrder == [1, 2])
    }

    @Test func `postgres-nio 472, 539: a timer that fires while requests wait changes nothing`() throws {
        var pool = ScriptedPool(
            PoolConfiguration(size: 1, maxOverflow: 0, maxLifetime: .seconds(60), idleTimeout: .seconds(1)))
        try pool.checkOut(1)
        pool.request(2)
        for _ in 0..<10 { pool.send(.wokeUp) }
        pool.advance(by: .seconds(20))
        #expect(pool.closing.isEmpty)
        pool.giveBack(1)
        #expect(pool.grantOrder == [1, 2])
    }

    @Test func `postgres-nio 662: no counter drifts over many cycles`() throws {
        var pool = ScriptedPool(
            PoolConfiguration(size: 2, maxOverflow: 1, prePingAlways: true, idleTimeout: .seconds(1)))
        for cycle in UInt64(1)...300 {
            pool.request(cycle)
            while pool.leases[cycle] == nil {
                if pool.validating.isEmpty { pool.connect() } else { pool.answerPing(cycle % 5 != 0) }
                pool.finishClosing()
            }
            if cycle % 7 == 0 { pool.send(.died(try pool.connection(of: cycle))) }
            pool.giveBack(cycle, cycle % 3 == 0 ? .needsReset : .clean)
            if !pool.resetting.isEmpty { pool.finishReset(cycle % 2 == 0) }
            pool.finishClosing()
            pool.advance(by: cycle % 11 == 0 ? .seconds(2) : .milliseconds(1))
            pool.finishClosing()
        }
        #expect(pool.snapshot.checkouts == 300)
        #expect(pool.snapshot.opened - pool.snapshot.closed == UInt64(pool.snapshot.idle))
    }

    @Test func `HikariCP 222, 451, 1474: a pool whose connections all broke fills itself again`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 3, maxOverflow: 0, minimumIdle: 3))
        try pool.checkOut(1...3)
        for waiter in UInt64(1)...3 { pool.giveBack(waiter, .broken) }
        pool.finishClosing()
        pool.failConnect()
        pool.advance(by: .seconds(1))
        while !pool.connecting.isEmpty { pool.connect() }
        pool.advance(by: .seconds(1))
        while !pool.connecting.isEmpty { pool.connect() }
        #expect(pool.snapshot.idle == 3)
    }

    @Test func `HikariCP 1909: nobody who comes later steals what was handed over`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2)
        for round in UInt64(0)..<50 {
            pool.request(3 + round)
            pool.giveBack(pool.grantOrder.last ?? 1)
        }
        #expect(pool.grantOrder == Array(1...51))
    }

    @Test func `deadpool 380: shrinking and growing in turn keeps the books`() throws {
        var pool = ScriptedPool(size: 4)
        try pool.checkOut(1...4)
        for size in [1, 4, 2, 1, 3] { pool.send(.resized(size: size, maxOverflow: 0)) }
        for waiter in UInt64(1)...4 { pool.giveBack(waiter) }
        pool.finishClosing()
        #expect(pool.snapshot.idle == 3 && pool.snapshot.live == 3)
    }

    @Test func `pgx 1272: whoever gives up does not take down a connect that others can use`() {
        var pool = ScriptedPool(size: 1)
        pool.request(1)
        pool.request(2)
        pool.cancel(1)
        #expect(pool.closing.isEmpty && pool.connecting.count == 1)
        pool.connect()
        #expect(pool.grantOrder == [2])
    }

    @Test func `pgx 1780: a connection that is still closing counts against the limit`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1, .broken)
        pool.request(2)
        pool.advance(by: .seconds(10))
        #expect(pool.connecting.isEmpty && pool.snapshot.live == 1)
        pool.finishClosing()
        #expect(pool.connecting.count == 1)
    }

    @Test func `npgsql 1019: a busy pool still ends the connections that nobody uses`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 5, maxOverflow: 0, idleTimeout: .seconds(10)))
        try pool.checkOut(1...5)
        for waiter in UInt64(1)...5 { pool.giveBack(waiter) }
        for waiter in UInt64(6)...25 {
            pool.advance(by: .seconds(1))
            pool.checkOutAgain(waiter)
            pool.giveBack(waiter)
        }
        #expect(pool.closeReasons == Array(repeating: .idleTimeout, count: 4))
        #expect(pool.snapshot.idle == 1)
    }

    @Test func `npgsql 3114: pruning takes nothing from counts that are zero already`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 2, maxOverflow: 0, idleTimeout: .seconds(1)))
        try pool.checkOut(1...2)
        pool.advance(by: .seconds(10))
        pool.send(.wokeUp)
        #expect(pool.snapshot.idle == 0 && pool.snapshot.leased == 2)
    }

    @Test func `jasync 288: an attempt that is never answered costs one slot, then none`() {
        var pool = ScriptedPool(size: 2)
        pool.request(1, timeout: .seconds(1))
        pool.advance(by: .seconds(1))
        #expect(pool.refusals[1] == .timedOut(TimeoutCircumstances()))
        #expect(pool.snapshot.connecting == 1)
        pool.failConnect()
        #expect(pool.snapshot.live == 0)
    }

    @Test func `psycopg 3 pool: no reset runs on a connection that is broken`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1, .broken)
        #expect(pool.resetting.isEmpty && pool.closeReasons == [.broken])
        var dead = ScriptedPool(size: 1)
        try dead.checkOut(1)
        dead.send(.died(try dead.connection(of: 1)))
        dead.giveBack(1, .needsReset)
        #expect(dead.resetting.isEmpty && dead.closeReasons == [.died])
    }
}

/// Promises that other pools make and have broken.
@Suite struct `Promises that others broke` {
    @Test func `HikariCP: nobody waits longer than the time-out, whatever the server does`() {
        let configuration = PoolConfiguration(size: 2, maxOverflow: 0, outageTolerance: nil)
        var lively = LivelyPool(configuration, connectTime: .milliseconds(5), holdTime: .seconds(100))
        lively.isServerUp = false
        lively.request(1...5)
        lively.run(for: .seconds(30) - 1)
        #expect(lively.pool.refusals.isEmpty)
        lively.run(for: 1)
        #expect(lively.pool.refusals.count == 5)
    }

    @Test func `puddle 1.1.3: a failed create leaves nobody hanging when the next one succeeds`() {
        var pool = ScriptedPool(size: 1)
        pool.request(1)
        pool.request(2)
        pool.failConnect()
        pool.advance(by: .milliseconds(100))
        pool.connect()
        pool.giveBack(1)
        #expect(pool.grantOrder == [1, 2])
    }

    @Test func `puddle 1.1.4: a close during a create ends both`() {
        var pool = ScriptedPool(size: 1)
        pool.request(1)
        pool.send(.shutdown(forceAt: pool.now + .seconds(10)))
        #expect(pool.refusals[1] == .shutDown)
        pool.finishClosing()
        #expect(pool.shutdownsCompleted == 1)
    }

    @Test func `pgxpool: cancelling under pressure opens no storm of connections`() throws {
        var pool = ScriptedPool(size: 4)
        try pool.checkOut(1...4)
        for round in UInt64(1)...200 {
            pool.request(100 + round)
            pool.cancel(100 + round)
        }
        #expect(pool.snapshot.connectAttempts == 4 && pool.snapshot.leased == 4)
    }

    @Test func `psycopg_pool: a waiter that gave up swallows no connection`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2, timeout: .milliseconds(10))
        pool.request(3)
        pool.advance(by: .milliseconds(10))
        pool.giveBack(1)
        #expect(pool.grantOrder == [1, 3])
    }

    @Test func `deadpool 0.9.5: errors while recycling never lead above the limit`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1...2)
        for waiter in UInt64(3)...6 { pool.request(waiter) }
        pool.giveBack(1, .needsReset)
        pool.giveBack(2, .needsReset)
        pool.finishReset(false)
        pool.finishReset(false)
        #expect(pool.connecting.isEmpty && pool.snapshot.live == 2)
        pool.finishClosing()
        #expect(pool.snapshot.live <= 2 && !pool.connecting.isEmpty)
    }

    @Test func `asyncpg 5871: a limit on waiting exists, and an outage is an error, not a hang`() {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0))
        pool.request(1)
        for _ in 0..<30 where !pool.connecting.isEmpty {
            pool.failConnect()
            pool.advance(by: .seconds(1))
        }
        pool.advance(by: .seconds(30))
        #expect(pool.refusals[1] != nil)
    }

    @Test func `sqlx 2054: what comes back inside a transaction is not lent before its rollback`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2)
        pool.cancel(2)
        pool.request(3)
        pool.giveBack(1, .needsReset)
        #expect(pool.grantOrder == [1])
        pool.finishReset(true)
        #expect(pool.grantOrder == [1, 3])
    }

    @Test func `PgBouncer: one failed login fails all waiters once`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1)
        for waiter in UInt64(2)...5 { pool.request(waiter) }
        #expect(pool.snapshot.connectAttempts == 2)
        pool.failConnect(.permanent)
        #expect(pool.refusals.count == 4 && pool.snapshot.connectFailures == 1 && pool.connecting.isEmpty)
    }

    @Test func `postgres-nio: a cancellation that overtakes its request is the shell's to remember`() {
        // The machine knows no waiter of that name yet: the shell must cancel after it has asked, never before.
        var pool = ScriptedPool(size: 1)
        pool.cancel(1)
        #expect(pool.refusals.isEmpty)
        pool.request(1)
        pool.cancel(1)
        #expect(pool.refusals == [1: .cancelled])
    }
}

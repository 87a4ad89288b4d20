import PoolCore
import Testing

@Suite struct `A connection's age` {
    @Test func `ends it at the next checkout when the timer is late`() throws {
        var pool = ScriptedPool(
            PoolConfiguration(size: 2, maxOverflow: 0, maxLifetime: .seconds(10), lifetimeJitter: 0))
        try pool.checkOut(1)
        pool.giveBack(1)
        let old = try pool.connection(of: 1)
        var late = pool.machine
        var effects = PoolEffects()
        late.apply(
            .requested(WaiterID(rawValue: 2), deadline: pool.now + .seconds(20)), at: pool.now + .seconds(11),
            into: &effects)
        #expect(effects.first == .close(old, .expired))
        pool.advance(by: .seconds(10))
        #expect(pool.closeReasons == [.expired])
    }

    @Test func `is drawn with jitter, so that not all end together`() throws {
        let lifetime = Int64.seconds(1800)
        var pool = ScriptedPool(PoolConfiguration(size: 50, maxOverflow: 0, maxLifetime: lifetime, lifetimeJitter: 0.1))
        try pool.checkOut(1...50)
        for waiter in UInt64(1)...50 { pool.giveBack(waiter) }
        pool.advance(by: lifetime - lifetime / 10 - 1)
        #expect(pool.closing.isEmpty)
        pool.advance(by: lifetime / 20)
        #expect((10...40).contains(pool.closing.count))
        pool.advance(by: lifetime / 20 + 1)
        #expect(pool.closing.count == 50)
    }

    @Test func `does not interrupt whoever uses it`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 1, maxOverflow: 0, maxLifetime: .seconds(1), lifetimeJitter: 0))
        try pool.checkOut(1)
        pool.advance(by: .seconds(5))
        #expect(pool.closing.isEmpty)
        pool.giveBack(1)
        #expect(pool.closeReasons == [.expired])
    }

    @Test func `counts idle time from the return, and spares the minimum`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 3, maxOverflow: 0, idleTimeout: .seconds(10), minimumIdle: 1))
        try pool.checkOut(1...3)
        for waiter in UInt64(1)...3 {
            pool.giveBack(waiter)
            pool.advance(by: .seconds(1))
        }
        pool.advance(by: .seconds(7))
        #expect(pool.closeReasons == [.idleTimeout])
        pool.advance(by: .seconds(60))
        #expect(pool.closeReasons == [.idleTimeout, .idleTimeout])
        #expect(pool.snapshot.idle == 1)
    }
}

@Suite struct `Invalidating` {
    @Test func `everything closes idle connections now and lent ones at their return`() throws {
        var pool = ScriptedPool(size: 3)
        try pool.checkOut(1...3)
        pool.giveBack(1)
        pool.send(.invalidated)
        #expect(pool.closing == [try pool.connection(of: 1)])
        pool.giveBack(2, .needsReset)
        #expect(pool.closeReasons == [.invalidated, .invalidated] && pool.resetting.isEmpty)
    }

    @Test func `also replaces what was being opened at that moment`() {
        var pool = ScriptedPool(size: 1)
        pool.request(1)
        pool.send(.invalidated)
        pool.connect()
        #expect(pool.grantOrder.isEmpty && pool.closeReasons == [.invalidated])
        pool.finishClosing()
        pool.connect()
        #expect(pool.grantOrder == [1])
    }

    @Test func `by many failures at once happens once`() throws {
        var pool = ScriptedPool(size: 5)
        try pool.checkOut(1...5)
        for waiter in UInt64(1)...5 { pool.send(.invalidatedBy(try pool.connection(of: waiter))) }
        #expect(pool.snapshot.generation == 1)
    }

    @Test func `one connection leaves the others alone`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1...2)
        pool.send(.connectionInvalidated(try pool.connection(of: 1)))
        pool.giveBack(1)
        pool.giveBack(2)
        #expect(pool.closing == [try pool.connection(of: 1)])
        #expect(pool.snapshot.idle == 1)
    }
}

@Suite struct `A connection that died` {
    @Test func `while idle is closed when it happens, not at its next use`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1...2)
        pool.giveBack(1)
        pool.giveBack(2)
        pool.send(.died(try pool.connection(of: 1)))
        #expect(pool.closing == [try pool.connection(of: 1)])
        try pool.checkOut(3)
        #expect(try pool.connection(of: 3) == pool.connection(of: 2))
    }

    @Test func `while lent is closed at its return, whatever its holder says`() throws {
        for outcome in [LeaseOutcome.clean, .needsReset, .spent, .broken] {
            var pool = ScriptedPool(size: 1)
            try pool.checkOut(1)
            pool.send(.died(try pool.connection(of: 1)))
            #expect(pool.closing.isEmpty)
            pool.giveBack(1, outcome)
            #expect(pool.closeReasons == [.died])
        }
    }

    @Test func `that is spent is closed, and replaced for whoever waits`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2)
        pool.giveBack(1, .spent)
        #expect(pool.closeReasons == [.spent])
        pool.send(.gone(try #require(pool.closing.first)))
        #expect(pool.machine.snapshot.connecting == 1)
    }

    @Test func `counts until the server no longer counts it`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1, .broken)
        pool.request(2)
        #expect(pool.connecting.isEmpty && pool.snapshot.closing == 1)
        pool.finishClosing()
        #expect(pool.connecting.count == 1)
    }
}

@Suite struct `Resetting` {
    @Test func `comes before the next borrower`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2)
        pool.giveBack(1, .needsReset)
        #expect(pool.grantOrder == [1])
        pool.finishReset(true)
        #expect(pool.grantOrder == [1, 2])
    }

    @Test func `that fails closes the connection and hurts nobody`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.request(2)
        pool.giveBack(1, .needsReset)
        pool.finishReset(false)
        #expect(pool.closeReasons == [.failedReset])
        pool.finishClosing()
        pool.connect()
        #expect(pool.grantOrder == [1, 2] && pool.refusals.isEmpty)
    }
}

@Suite struct `Shutting down` {
    @Test func `an empty pool is over at once, and can be asked for again`() {
        var pool = ScriptedPool(size: 2)
        pool.send(.shutdown(forceAt: pool.now))
        #expect(pool.shutdownsCompleted == 1)
        pool.send(.shutdown(forceAt: pool.now))
        #expect(pool.shutdownsCompleted == 2)
        pool.request(1)
        #expect(pool.refusals[1] == .shutDown)
    }

    @Test func `refuses those who wait, closes what is idle, lets leases end`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1...2)
        pool.giveBack(2)
        pool.checkOutAgain(3)
        pool.request(4)
        pool.send(.shutdown(forceAt: pool.now + .seconds(10)))
        #expect(pool.refusals == [4: .shutDown])
        pool.advance(by: .seconds(9))
        #expect(pool.cancelledLeases.isEmpty)
        pool.giveBack(1)
        pool.giveBack(3, .needsReset)
        #expect(pool.resetting.isEmpty)
        pool.finishClosing()
        #expect(pool.shutdownsCompleted == 1 && pool.machine.nextDeadline == nil)
    }

    @Test func `cancels what is left when its patience ends`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.send(.shutdown(forceAt: pool.now + .seconds(10)))
        pool.send(.shutdown(forceAt: pool.now + .seconds(5)))
        pool.send(.shutdown(forceAt: pool.now + .seconds(60)))
        pool.advance(by: .seconds(5))
        #expect(pool.cancelledLeases == [try #require(pool.leases[1])])
        pool.giveBack(1, .broken)
        pool.finishClosing()
        #expect(pool.shutdownsCompleted == 1)
    }

    @Test func `closes what is still being opened, whichever answer comes first`() {
        for lateAnswer in [true, false] {
            var pool = ScriptedPool(size: 1)
            pool.request(1)
            let id = pool.connecting[0]
            pool.send(.shutdown(forceAt: pool.now))
            #expect(pool.closing == [id])
            if lateAnswer {
                let again = pool.send(.connected(id))
                #expect(again == [.close(id, .shutDown)] && pool.shutdownsCompleted == 0)
                pool.finishClosing()
            } else {
                pool.send(.connectFailed(id, .transient))
            }
            #expect(pool.shutdownsCompleted == 1)
        }
    }
}

@Suite struct `A forgotten lease` {
    @Test func `is reported once, with its name`() throws {
        var pool = ScriptedPool(PoolConfiguration(size: 2, maxOverflow: 0, leakThreshold: .seconds(30)))
        try pool.checkOut(1)
        pool.advance(by: .seconds(10))
        try pool.checkOut(2)
        pool.advance(by: .seconds(25))
        #expect(pool.suspectedLeases == [try #require(pool.leases[1])])
        pool.giveBack(2)
        pool.advance(by: .seconds(100))
        #expect(pool.suspectedLeases.count == 1)
        #expect(pool.machine.nextDeadline == nil)
    }
}

import PoolCore
import Testing

/// Case F of `docs/pool-deviations.md`. The number is the case's.
@Suite struct `SQLAlchemy's invalidation` {
    @Test func `F01 F05: after a broken one comes another`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1, .broken)
        pool.finishClosing()
        try pool.checkOut(2)
        #expect(try pool.connection(of: 2) != pool.connection(of: 1))
    }

    @Test func `F02: it is closed once, and its replacement is not closed at its return`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1, .broken)
        pool.finishClosing()
        try pool.checkOut(2)
        pool.giveBack(2)
        #expect(pool.closeReasons == [.broken] && pool.snapshot.idle == 1)
    }

    @Test func `F04: a soft invalidation lets the holder finish, and replaces in the same slot`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.send(.connectionInvalidated(try pool.connection(of: 1)))
        #expect(pool.closing.isEmpty)
        pool.giveBack(1)
        pool.finishClosing()
        try pool.checkOut(2)
        #expect(try pool.connection(of: 2).slot == pool.connection(of: 1).slot)
    }

    @Test func `F06, deviating: after a restart the idle sibling is closed at once, not at its next loan`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1...2)
        pool.giveBack(2)
        pool.send(.invalidatedBy(try pool.connection(of: 1)))
        #expect(pool.closing == [try pool.connection(of: 2)])
        pool.giveBack(1, .broken)
        pool.finishClosing()
        try pool.checkOut(3...4)
        #expect(pool.snapshot.live == 2)
    }

    @Test func `F08: fifteen disconnects at once are fifteen closes, thirty connects and one generation`() throws {
        var pool = ScriptedPool(size: 15)
        try pool.checkOut(1...15)
        for waiter in UInt64(1)...7 { pool.giveBack(waiter) }
        for waiter in UInt64(1)...15 { pool.send(.invalidatedBy(try pool.connection(of: waiter))) }
        for waiter in UInt64(8)...15 { pool.giveBack(waiter, .broken) }
        pool.finishClosing()
        #expect(pool.snapshot.closed == 15 && pool.snapshot.generation == 1)
        try pool.checkOut(16...30)
        #expect(pool.snapshot.opened == 30)
    }

    @Test func `F09: a disconnect that is not blamed on the pool costs one connection`() throws {
        var pool = ScriptedPool(size: 3)
        try pool.checkOut(1...3)
        pool.giveBack(1)
        pool.giveBack(2)
        pool.giveBack(3, .broken)
        #expect(pool.snapshot.idle == 2 && pool.closeReasons == [.broken])
    }

    @Test func `F10: one that is costs all three`() throws {
        var pool = ScriptedPool(size: 3)
        try pool.checkOut(1...3)
        pool.giveBack(1)
        pool.giveBack(2)
        pool.send(.invalidatedBy(try pool.connection(of: 3)))
        pool.giveBack(3, .broken)
        #expect(pool.closing.count == 3)
    }

    @Test func `F13 F22: invalidating twice, or what has ended already, changes nothing`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        let id = try pool.connection(of: 1)
        pool.giveBack(1, .broken)
        let again = pool.send(.connectionInvalidated(id)) + pool.send(.died(id)) + pool.send(.invalidatedBy(id))
        pool.finishClosing()
        let afterwards = pool.send(.connectionInvalidated(id)) + pool.send(.died(id)) + pool.send(.gone(id))
        #expect(again.isEmpty && afterwards.isEmpty && pool.closeReasons == [.broken])
    }

    @Test func `F14: invalidated between the decision to lend and the use, the lease stays valid until its return`()
        throws
    {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1)
        pool.checkOutAgain(2)
        pool.send(.invalidated)
        #expect(pool.snapshot.leased == 1)
        pool.giveBack(2)
        #expect(pool.closeReasons == [.invalidated])
    }

    @Test func `F16 F17 I13: a reconnect that fails restores the counts, and the next one is new from the start`()
        throws
    {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1)
        pool.send(.invalidated)
        pool.finishClosing()
        pool.request(2, timeout: .milliseconds(10))
        pool.failConnect()
        pool.advance(by: .milliseconds(10))
        #expect(pool.snapshot.live == 0)
        pool.advance(by: .seconds(1))
        try pool.checkOut(3)
        #expect(pool.snapshot.opened == 2)
    }

    @Test func `F20: a connection that a checkout hook rejects is replaced, unseen`() throws {
        var pool = ScriptedPool(size: 2)
        try pool.checkOut(1)
        pool.giveBack(1)
        pool.checkOutAgain(2)
        pool.giveBack(2, .broken)
        try pool.checkOut(3)
        #expect(try pool.connection(of: 3) != pool.connection(of: 1))
    }

    @Test func `G04: what is invalidated is closed without a reset`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.send(.connectionInvalidated(try pool.connection(of: 1)))
        pool.giveBack(1, .needsReset)
        #expect(pool.resetting.isEmpty && pool.closeReasons == [.invalidated])
    }

    @Test func `G16: a second return changes nothing`() throws {
        var pool = ScriptedPool(size: 1)
        try pool.checkOut(1)
        pool.giveBack(1)
        let second = pool.giveBack(1)
        #expect(second.isEmpty && pool.snapshot.idle == 1)
    }
}

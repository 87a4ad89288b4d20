import PostgresSessions

extension Quickstart {
    /// A pool that is too small for its load says so, with the numbers.
    static func checkoutTimeout(_ tour: Tour, _ shop: Shop) async throws {
        tour.section(
            "A checkout that times out",
            "A pool of 2+0 with a checkout timeout of 250 ms. Two requests hold both connections; a third one asks.")
        let pool = PoolOptions(size: 2, maxOverflow: 0, checkoutTimeout: .milliseconds(250), minimumIdle: 2)
        let engine = try Shop.makeEngine(url: shop.url, schema: shop.schema, pool: pool)
        try await engine.warmUp()
        async let first: CommandResult = engine.execute("SELECT pg_sleep(1)")
        async let second: CommandResult = engine.execute("SELECT pg_sleep(1)")
        while engine.statistics.leased < 2 { try await Task.sleep(for: .milliseconds(5)) }
        try await askInVain(tour, engine)
        _ = try await (first, second)
        let value = try await engine.query("SELECT 1", as: Int.self).one()
        tour.check(value == 1, "when a connection is back, the next request is served")
        await engine.shutdown()
        tour.live("\(engine.statistics)")
    }

    private static func askInVain(_ tour: Tour, _ engine: Engine) async throws {
        let start = ContinuousClock.now
        do {
            _ = try await engine.query("SELECT 1", as: Int.self).one()
            tour.check(false, "the third request should have timed out")
        } catch let error as EngineError {
            guard case .checkoutTimedOut(let then) = error else { throw error }
            let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
            tour.say("   EngineError: \(error)")
            tour.check(milliseconds >= 250 && milliseconds < 900, "it was thrown after \(milliseconds) ms")
            tour.check(then.leased == 2 && then.timeouts == 1, "it names the numbers of that moment")
        }
    }
}

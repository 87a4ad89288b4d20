import PostgresSessions

extension Quickstart {
    /// A pool that is too small for its load says so, with the numbers.
    static func checkoutTimeout(_ tour: Tour, _ shop: Shop) async throws {
        tour.section(
            "A checkout that times out",
            "A pool of 2+0 with a checkout timeout of 250 ms. Two requests hold both connections; a third one asks.")
        let pool = PoolOptions(size: 2, maxOverflow: 0, checkoutTimeout: .milliseconds(250))
        let engine = try Shop.makeEngine(url: shop.url, schema: shop.schema, pool: pool)
        try await engine.withConnection { _ in
            try await engine.withConnection { _ in
                let start = ContinuousClock.now
                do {
                    _ = try await engine.query("SELECT 1", as: Int.self).one()
                    tour.check(false, "the third request should have timed out")
                } catch let error as EngineError {
                    guard case .checkoutTimedOut(let then) = error else { throw error }
                    let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
                    tour.say("   EngineError: \(error)")
                    tour.check(milliseconds >= 250 && milliseconds < 2000, "it was thrown after \(milliseconds) ms")
                    tour.check(then.leased == 2 && then.timeouts == 1, "it names the numbers of that moment")
                }
            }
        }
        let value = try await engine.query("SELECT 1", as: Int.self).one()
        tour.check(value == 1, "when a connection is back, the next request is served")
        await engine.shutdown()
        tour.live("\(engine.statistics)")
    }
}

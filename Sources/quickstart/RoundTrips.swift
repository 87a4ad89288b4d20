import PostgresSessions
import PostgresSessionsTesting

extension Quickstart {
    /// What a unit of work costs in round trips, counted by a proxy that stands between the engine and the server.
    static func roundTrips(_ tour: Tour, _ shop: Shop) async throws {
        tour.section(
            "Round trips, counted",
            "A proxy between engine and server counts the flights and adds 20 ms to each.")
        guard let proxy = try? await FaultProxy.start(to: shop.url) else {
            return tour.say("   Left out: the proxy needs a URL with one host.")
        }
        let pool = PoolOptions(size: 1, maxOverflow: 0)
        let engine = try Shop.makeEngine(url: proxy.url, schema: shop.schema, pool: pool)
        try await engine.ping()
        proxy.latency = .milliseconds(20)

        try await count(1, "one statement by itself", tour, proxy) {
            _ = try await engine.query("SELECT stock FROM items WHERE id = 1", as: Int.self).one()
        }
        try await count(2, "a transaction of one statement: BEGIN rides with it, then COMMIT", tour, proxy) {
            _ = try await engine.withTransaction { session in
                try await session.execute("UPDATE items SET stock = stock + 1 WHERE id = 1")
            }
        }
        try await count(1, "the same with commit(with:): BEGIN, the statement and COMMIT", tour, proxy) {
            _ = try await engine.withSession { session in
                try await session.commit(with: "UPDATE items SET stock = stock - 1 WHERE id = 1")
            }
        }
        try await count(0, "an empty transaction; checkout, liveness check and return", tour, proxy) {
            try await engine.withTransaction { _ in }
            try await engine.withConnection { _ in }
        }
        await engine.shutdown()
        await proxy.stop()
    }

    private static func count(
        _ expected: Int, _ what: String, _ tour: Tour, _ proxy: FaultProxy, _ work: () async throws -> Void
    ) async throws {
        let (flights, start) = (proxy.flights, ContinuousClock.now)
        try await work()
        let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
        let counted = proxy.flights - flights
        tour.check(counted == expected, "\(counted) round trips, \(milliseconds) ms: \(what)")
    }
}

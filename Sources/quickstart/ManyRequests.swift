import PostgresSessions

extension Quickstart {
    /// Hundreds of requests at once, each with a session of its own, over a pool that is much smaller.
    static func manyRequests(_ tour: Tour, _ shop: Shop) async throws {
        let requests = 400
        tour.section(
            "\(requests) requests at once, a session each, at most 15 connections",
            "Each takes one cup from the stock and writes an order, in one transaction. The engine's statistics, live:")

        let watcher = Task { try await watch(shop.engine, tour) }
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for customer in 1...requests {
                group.addTask { try await order(from: shop, customer: customer) }
            }
            try await group.waitForAll()
        }
        let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
        watcher.cancel()
        _ = await watcher.result
        tour.live("\(shop.engine.statistics)")

        let (orders, transactions, backends) = try await shop.engine.query(
            "SELECT count(*), count(DISTINCT transaction), count(DISTINCT backend) FROM orders",
            as: (Int, Int, Int).self
        ).one()
        tour.check(orders == requests, "\(orders) orders were written, in \(milliseconds) ms")
        tour.check(transactions == requests, "by \(transactions) transactions: no two requests shared one")
        tour.check(backends <= 15, "over \(backends) connections, as the server counts them; the pool allows 15")
        let stock = try await shop.stock(of: 1)
        tour.check(stock == 1000 - requests, "\(stock) cups are left of 1000: no update was lost")
    }

    /// What a request handler does.
    private static func order(from shop: Shop, customer: Int) async throws {
        try await shop.engine.withTransaction { session in
            _ = try await session.query("SELECT 1 FROM pg_sleep(0.002)", as: Int.self).one()  // some work
            try await session.execute("UPDATE items SET stock = stock - 1 WHERE id = 1")
            try await session.execute(
                "INSERT INTO orders VALUES (1, \(customer), pg_backend_pid(), pg_current_xact_id()::text)")
        }
    }

    private static func watch(_ engine: Engine, _ tour: Tour) async throws {
        try await Task.sleep(for: .milliseconds(20))
        while true {
            tour.live("\(engine.statistics)")
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}

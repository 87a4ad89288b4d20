import PostgresSessions

extension Quickstart {
    /// Backends die under the pool; nobody who asks afterwards notices.
    static func healing(_ tour: Tour, _ shop: Shop) async throws {
        tour.section(
            "Backends killed under the pool",
            "An administrator ends every idle connection of the pool. Then 50 requests come in.")
        let engine = shop.engine
        let victims = try await occupiedBackends(engine, count: 5)
        let killed = try await kill(victims, shop)
        let before = engine.statistics
        tour.live("killed \(killed) backends")

        var failures = 0
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    (try? await engine.withTransaction { try await $0.query("SELECT 1", as: Int.self).one() }) == 1
                }
            }
            for await isGood in group where !isGood { failures += 1 }
        }
        let after = engine.statistics
        tour.live("\(after)")
        tour.check(killed == victims.count, "all \(killed) backends were killed")
        tour.check(failures == 0, "50 of 50 requests were served, \(failures) errors")
        tour.check(
            after.closed >= killed && after.opened > before.opened - killed,
            "the pool has closed \(after.closed) connections and opened \(after.opened) so far")
        try await healInTheMiddle(tour, shop)
    }

    /// A kill in the middle of a transaction undoes it. Whoever allows a retry does not notice either.
    private static func healInTheMiddle(_ tour: Tour, _ shop: Shop) async throws {
        tour.say("   Now in the middle of a transaction, declared repeatable with retry: .onConflict(maxAttempts: 3):")
        var attempts = 0
        let before = try await shop.orders()
        try await shop.engine.withTransaction(retry: .onConflict(maxAttempts: 3)) { session in
            attempts += 1
            let backend = try await session.query(
                "INSERT INTO orders VALUES (2, 1003, pg_backend_pid(), '') RETURNING backend", as: Int.self
            ).one()
            tour.live("attempt \(attempts): the order is written on connection \(backend)")
            if attempts == 1 {
                _ = try await kill([backend], shop)
                tour.live("attempt \(attempts): its backend was killed before COMMIT")
            }
            try await session.execute("UPDATE items SET stock = stock - 1 WHERE id = 2")
        }
        let orders = try await shop.orders() - before
        tour.check(attempts == 2 && orders == 1, "\(attempts) attempts, \(orders) order on record, no error")
    }

    /// The backends of `count` connections that are in use at the same time.
    private static func occupiedBackends(_ engine: Engine, count: Int) async throws -> [Int] {
        let all = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<count {
                group.addTask {
                    try await engine.query("SELECT pg_backend_pid() FROM pg_sleep(0.1)", as: Int.self).one()
                }
            }
            return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        return all.sorted()
    }

    /// Ends backends from outside, over a connection of another engine, and waits until they are gone. Returns how many.
    private static func kill(_ backends: [Int], _ shop: Shop) async throws -> Int {
        let administrator = try Engine(url: shop.url)
        let killed = try await administrator.query(
            "SELECT count(*) FROM unnest(\(backends)) AS pid WHERE pg_terminate_backend(pid::int4, 5000)", as: Int.self
        ).one()
        await administrator.shutdown()
        return killed
    }
}

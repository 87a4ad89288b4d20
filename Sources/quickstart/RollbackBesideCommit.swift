import PostgresSessions

/// What a handler throws when it does not like the request.
struct PaymentRefused: Error {}

extension Quickstart {
    /// Two requests in flight at the same time; one fails, and takes nothing of the other with it.
    static func rollbackBesideCommit(_ tour: Tour, _ shop: Shop) async throws {
        tour.section(
            "One request's rollback beside another's commit",
            "Ann buys 10 plates and Bob buys 7, at the same time. Ann's payment is refused in the middle.")
        let before = try await shop.stock(of: 2)
        let (annHasWritten, annWrites) = AsyncStream<Void>.makeStream()
        let (bobHasCommitted, bobCommits) = AsyncStream<Void>.makeStream()

        async let ann: Void = shop.engine.withTransaction { session in
            let number = try await session.query(
                "INSERT INTO orders VALUES (2, 1001, pg_backend_pid(), '') RETURNING backend", as: Int.self
            ).one()
            tour.live("Ann  wrote her order on connection \(number); her transaction is open")
            annWrites.finish()
            for await _ in bobHasCommitted {}
            tour.live("Ann  throws PaymentRefused")
            throw PaymentRefused()
        }
        async let bob: Int = shop.engine.withTransaction { session in
            for await _ in annHasWritten {}
            let number = try await session.query(
                "INSERT INTO orders VALUES (2, 1002, pg_backend_pid(), '') RETURNING backend", as: Int.self
            ).one()
            try await session.execute("UPDATE items SET stock = stock - 7 WHERE id = 2")
            tour.live("Bob  wrote his order on connection \(number), and returns")
            return number
        }

        _ = try await bob
        tour.live("Bob  is committed")
        bobCommits.finish()
        do {
            try await ann
            tour.check(false, "Ann's request should have thrown")
        } catch is PaymentRefused {
            tour.check(true, "Ann's caller gets her own error, PaymentRefused, unchanged")
        }
        let customers = try await shop.engine.query(
            "SELECT customer FROM orders WHERE item = 2 ORDER BY 1", as: Int.self
        ).all()
        tour.check(customers == [1002], "the orders on record are those of customers \(customers): Bob's alone")
        let after = try await shop.stock(of: 2)
        tour.check(after == before - 7, "the stock went from \(before) to \(after)")
    }
}

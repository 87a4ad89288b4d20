import PostgresSessions

extension Quickstart {
    /// Why sessions are not shared: what it would do to two requests, done by hand in one task, and then the compiler.
    static func sharedSession(_ tour: Tour, _ shop: Shop) async throws {
        tour.section(
            "What one session for all requests would have done",
            "The famous mistake is a global session. Here are the steps of two requests on one, interleaved by hand:")
        let before = try await shop.orders()
        let session = shop.engine.makeSession()
        try await session.execute("INSERT INTO orders VALUES (1, 2001, pg_backend_pid(), '')")
        tour.live("Ann  INSERT: \"1 row\". All is well, as far as Ann can tell")
        do {
            try await session.execute("INSERT INTO items VALUES (1, 'cup', 0)")
        } catch let error as ServerError where error.sqlState == .uniqueViolation {
            tour.live("Bob  INSERT: \(error.message)")
        }
        do {
            try await session.execute("UPDATE items SET stock = stock - 1 WHERE id = 1")
            tour.check(false, "Ann's second statement should have been refused")
        } catch let error as EngineError {
            tour.live("Ann  UPDATE: \(error)")
        }
        try await session.rollback()
        tour.live("Bob  rolls his mistake back")
        try await session.commit()
        tour.live("Ann  commits: nothing is open any more, so nothing is committed, and nobody is told")
        await session.close()
        let orders = try await shop.orders() - before
        tour.check(orders == 0, "Ann's order is gone: \(orders) on record. Bob's mistake was her loss")

        tour.say("\n   So the compiler refuses to share one. These programs do not build:\n")
        for refusal in refusals { tour.say(refusal.indented) }
        try await keptTooLong(tour, shop)
    }

    /// What no compiler can see is an error at run time, and nothing is sent.
    private static func keptTooLong(_ tour: Tour, _ shop: Shop) async throws {
        var kept: Session?
        try await shop.engine.withSession { session in kept = session }
        do {
            try await kept?.execute("DELETE FROM orders")
            tour.check(false, "a session kept beyond its scope should be refused")
        } catch EngineError.sessionClosed {
            tour.check(true, "a session kept beyond its scope: \(EngineError.sessionClosed), and nothing was sent")
        }
    }

    private struct Refusal {
        var program: String
        var message: String

        var indented: String {
            let lines = program.split(separator: "\n", omittingEmptySubsequences: false).map { "     | \($0)" }
            return lines.joined(separator: "\n") + "\n     error: \(message)\n"
        }
    }

    /// The compiler's words, Swift 6.3. The repository's compile tests keep them true.
    private static let refusals = [
        Refusal(
            program: """
                enum App {
                    static let session = engine.makeSession()
                }
                """,
            message: """
                static property 'session' is not concurrency-safe because non-'Sendable' type 'Session' may have shared \
                mutable state
                """),
        Refusal(
            program: """
                try await engine.withTransaction { session in
                    async let ann = session.execute("UPDATE items SET stock = stock - 1")
                    async let bob = session.execute("UPDATE items SET stock = stock - 7")
                    _ = try await (ann, bob)
                }
                """,
            message: "sending 'session' risks causing data races"),
        Refusal(
            program: """
                let session = engine.makeSession()
                for id in 1...2 {
                    group.addTask { try await session.execute("DELETE FROM items WHERE id = \\(id)") }
                }
                """,
            message: """
                passing closure as a 'sending' parameter risks causing data races between code in the current task and \
                concurrent execution of the closure
                """),
    ]
}

import PostgresSessions
import Testing

/// What the server's codes say about its connections: the fault policy, line by line.
@Suite(.timeLimit(.minutes(15))) struct `A connection whose server says` {
    private static let two = PoolOptions(size: 2, maxOverflow: 0, checkoutTimeout: .seconds(10), minimumIdle: 2)
    static let ends = ["57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "08000", "08003", "08006", "08P01"]

    @Test(arguments: ends)
    func `that it ends is closed alone, and the next caller is served`(code: String) async throws {
        try await withWarmEngine(Self.two) { server, engine in
            try await eventually("two are open") { engine.statistics.idle == 2 }
            server.on(.statement("UPDATE"), .fatal(code), times: 1)
            let error = try await failure {
                try await engine.withTransaction { session in
                    try await session.execute("INSERT")
                    try await session.execute("UPDATE")
                }
            }
            #expect(error.isConnectionLost && "\(error)".contains(code), "\(error)")
            try await engine.answers(7)
            try await eventually("the other one stayed: \(engine.statistics)") {
                engine.statistics.closed == 1 && server.open == 2
            }
        }
    }

    /// Its socket may stay open, where the machine has died meanwhile.
    @Test func `that it ends while it is idle is not lent any more`() async throws {
        try await withWarmEngine { server, engine in
            server.say(ServerBytes.fatal("57P02"))
            // The server has said it before it answers somebody new.
            let other = try Engine(Engine.Configuration(url: server.url, pool: one))
            try await other.answers(7)
            await other.shutdown()
            await loopsHaveTurned()
            try await engine.execute("INSERT")
            #expect(server.count(.statement("INSERT")) == 1)
            #expect(engine.statistics.opened == 2)
        }
    }

    @Test(arguments: ends)
    func `that it ends, in place of COMMIT's answer, leaves the outcome unknown`(code: String) async throws {
        try await withWarmEngine(Self.two) { server, engine in
            server.on(.statement("COMMIT"), .fatal(code), times: 1)
            let error = try await failure { try await engine.withTransaction { try await $0.execute("INSERT") } }
            #expect(error.isOutcomeUnknown, "\(error)")
            #expect(server.statements.count { $0 == "COMMIT" } == 1)
            try await engine.answers(7)
        }
    }

    /// A foreign server's connection, for example, that was lost inside a statement.
    @Test(arguments: ["08001", "08006", "57P03"])
    func `that a statement failed, with whatever code, is kept`(code: String) async throws {
        try await withWarmEngine(one) { server, engine in
            server.on(.statement("SELECT 13"), .error(code), times: 1)
            let error = try await failure { try await engine.echo(13) }
            #expect(error.refusal == SQLState(code))
            try await engine.answers(7)
            #expect(engine.statistics.opened == 1)
        }
    }

    /// Of the server, in its language: in another one than English, it says nothing of a cached plan.
    @Test func `that a prepared statement does not fit its table any more prepares it anew`() async throws {
        try await withWarmEngine(one) { server, engine in
            server.on(.statement("SELECT 13"), .error("0A000"), times: 1)
            try await engine.answers(13)
            #expect(server.count(.statement("SELECT 13")) == 2 && engine.statistics.opened == 1)
        }
    }

    @Test func `25006 while others work is replaced at once, and theirs when they return it`() async throws {
        try await withWarmEngine(Self.two) { server, engine in
            try await eventually("two are open") { engine.statistics.idle == 2 }
            server.on(.statement("INSERT"), .error("25006"), times: 1)
            try await engine.withTransaction { session in
                try await session.execute("UPDATE")
                _ = try await failure { try await engine.execute("INSERT") }
                try await session.execute("UPDATE")
            }
            try await engine.answers(7)
            try await eventually("both were replaced: \(engine.statistics)") { engine.statistics.closed == 2 }
        }
    }
}

import PostgresSessions
import Testing

private struct Broken: Error {}

/// SQLAlchemy's cases of a transaction's end, by the words that reach the server: each is said once, or not at all.
@Suite(.timeLimit(.minutes(15))) struct `What ends a transaction` {
    private func ends(_ server: ScriptedServer) -> [String] {
        server.statements.filter { ["COMMIT", "ROLLBACK"].contains($0) }
    }

    @Test func `K09 K13: is one ROLLBACK when its scope is left by an error, which comes out`() async throws {
        try await withWarmEngine { server, engine in
            await #expect(throws: Broken.self) {
                try await engine.withTransaction { session in
                    try await session.execute("INSERT")
                    throw Broken()
                }
            }
            #expect(ends(server) == ["ROLLBACK"])
        }
    }

    @Test func `K10 K13: is not said again by a scope whose body has said it`() async throws {
        try await withWarmEngine { server, engine in
            try await engine.withTransaction { session in
                try await session.execute("INSERT")
                try await session.rollback()
            }
            #expect(ends(server) == ["ROLLBACK"])
            await #expect(throws: Broken.self) {
                try await engine.withTransaction { session in
                    try await session.execute("INSERT")
                    try await session.commit()
                    throw Broken()
                }
            }
            #expect(ends(server) == ["ROLLBACK", "COMMIT"])
        }
    }

    @Test func `K05 K16 K21 P28: is nothing where nothing is open, however often it is asked for`() async throws {
        try await withWarmEngine { server, engine in
            try await engine.withSession { session in
                try await session.commit()
                try await session.rollback()
                try await session.execute("INSERT")
                try await session.rollback()
                try await session.rollback()
                try await session.commit()
            }
            #expect(ends(server) == ["ROLLBACK"])
        }
    }

    @Test func `K08 M18: that could not begin is the first statement's error, and costs no connection`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("BEGIN"), .error("25001"), times: 1)
            let error = try await failure { try await engine.withTransaction { try await $0.execute("INSERT") } }
            #expect(error.refusal == "25001")
            #expect(server.count(.statement("INSERT")) == 0)
            try await engine.answers(7)
            #expect(engine.statistics.opened == 1)
        }
    }

    @Test func `J04 J05 K14 K18: is COMMIT also where it is refused; there is nothing to roll back then`() async throws
    {
        try await withWarmEngine { server, engine in
            let told = Journal<String>()
            try await engine.withSession { session in
                session.afterCommit { told.append("committed") }
                session.afterRollback { told.append("rolled back") }
                server.on(.statement("COMMIT"), .error("23503"), times: 1)
                try await session.execute("INSERT")
                let error = try await failure { try await session.commit() }
                #expect(error.refusal == .foreignKeyViolation)
                #expect(session.transactionStatus == .idle)
                #expect(told.all == ["rolled back"])
            }
            #expect(ends(server) == ["COMMIT"])
            #expect(engine.statistics.opened == 1)
        }
    }

    /// Nothing can have been committed: so the unit of work may be run again.
    @Test func `is no reason not to run it again where it is COMMIT and was refused`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("COMMIT"), .error("23503"), times: 1)
            server.on(.statement("SELECT 13"), .cut, times: 1)
            try await engine.withTransaction(retry: .onConflict(maxAttempts: 2)) { session in
                try await session.execute("INSERT")
                do {
                    try await session.commit()
                } catch let error as ServerError where error.sqlState == .foreignKeyViolation {
                    _ = try await engine.echo(13)
                }
            }
            #expect(ends(server) == ["COMMIT", "COMMIT"])
            #expect(server.count(.statement("INSERT")) == 2)
        }
    }

    /// As a server does whose transaction has failed and who has not said so.
    @Test(arguments: [false, true])
    func `is no commit where COMMIT is answered with ROLLBACK`(withStatement: Bool) async throws {
        try await withWarmEngine { server, engine in
            let answer = ServerBytes.commandComplete("ROLLBACK") + ServerBytes.readyForQuery(UInt8(ascii: "I"))
            server.on(.statement("COMMIT"), .only(answer), times: 1)
            let told = Journal<String>()
            let error = try await failure {
                try await engine.withTransaction { session in
                    session.afterCommit { told.append("committed") }
                    session.afterRollback { told.append("rolled back") }
                    try await session.execute("INSERT")
                    if withStatement { try await session.commit(with: "UPDATE") }
                }
            }
            guard case EngineError.transactionAborted = error else { throw error }
            #expect(told.all == ["rolled back"])
        }
    }

    @Test func `O04 O05: is followed by what was registered for it, when the connection is home`() async throws {
        try await withWarmEngine { _, engine in
            let told = Journal<String>()
            try await engine.withSession { session in
                session.afterCommit { told.append("committed, \(engine.statistics.leased) lent") }
                session.afterRollback { told.append("rolled back") }
                try await session.execute("INSERT")
                try await session.commit()
                session.afterCommit { told.append("committed again") }
                session.afterRollback {
                    // A session of its own may be used here.
                    let answer = try? await engine.echo(5)
                    told.append("rolled back, answered \(answer ?? 0)")
                }
                try await session.execute("INSERT")
                try await session.rollback()
            }
            #expect(told.all == ["committed, 0 lent", "rolled back, answered 5"])
        }
    }

    @Test func `G106: that never comes because the server ends in mid-flight ends every statement of it`() async throws
    {
        try await withWarmEngine { server, engine in
            server.on(.statement("SELECT 2"), .fatal("57P01"), times: 1)
            let error = try await failure {
                try await engine.withTransaction { session in
                    try await session.execute("INSERT")
                    try await session.execute(batch: ["SELECT 1", "SELECT 2", "SELECT 3"])
                }
            }
            #expect(error.isConnectionLost, "\(error)")
            #expect(server.count(.statement("SELECT 3")) == 0)
            try await engine.answers(7)
        }
    }
}

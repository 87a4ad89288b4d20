import PostgresSessions
import Testing

// What a real server cannot be made to do on demand. Each ends with the pool serving the next caller.

@Suite(.timeLimit(.minutes(15))) struct `A server that breaks off` {
    @Test func `after COMMIT and before its answer leaves an unknown outcome`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("COMMIT"), .hold, times: 1)
            server.onReach { if $0 == .statement("COMMIT") { server.say([], thenClose: true) } }
            let error = try await failure { try await engine.withTransaction { try await $0.execute("INSERT") } }
            #expect(error.isOutcomeUnknown, "\(error)")
            #expect(server.statements.count { $0 == "COMMIT" } == 1)
            try await engine.answers(7)
        }
    }

    @Test func `with a FATAL between CommandComplete and ReadyForQuery of COMMIT never claims a rollback`() async throws
    {
        try await withWarmEngine { server, engine in
            server.on(.statement("COMMIT"), .okThenClose(ServerBytes.fatal("57P01")), times: 1)
            do {
                try await engine.withTransaction { try await $0.execute("INSERT") }
            } catch {
                // CommandComplete has come: to call it committed is true, to call it unknown is careful.
                #expect(error.isOutcomeUnknown, "\(error)")
            }
            #expect(server.count(.statement("INSERT")) == 1)
            try await engine.answers(7)
        }
    }

    /// G105.
    @Test func `with a FATAL between CommandComplete and ReadyForQuery executes nothing twice`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("INSERT"), .okThenClose(ServerBytes.fatal("57P01")), times: 1)
            do {
                try await engine.execute("INSERT")
            } catch {
                #expect(error.isConnectionLost, "\(error)")
            }
            // An open fault: the FATAL's code alone is taken for proof that nothing was executed.
            #expect(server.count(.statement("INSERT")) == 1)
            try await engine.answers(7)
        }
    }

    @Test func `between two rows has them asked for again, and gives none of them twice`() async throws {
        try await withWarmEngine { server, engine in
            let row = ServerBytes.dataRow(13, isBinary: true)
            server.on(.statement("SELECT 13"), .only(row + row + ServerBytes.fatal("57P01")), times: 1)
            let rows = try await engine.query("SELECT 13", as: Int.self).all()
            #expect(rows == [13])
            #expect(server.count(.statement("SELECT 13")) == 2)
        }
    }

    @Test(arguments: [Reaction.cut, .garbage, .fatal("57P01"), .fatal("XX000")])
    func `in a statement costs the transaction and nothing else`(_ end: Reaction) async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("UPDATE"), end, times: 1)
            let error = try await failure {
                try await engine.withTransaction { session in
                    try await session.execute("INSERT")
                    try await session.execute("UPDATE")
                }
            }
            #expect(error.isConnectionLost, "\(error)")
            #expect(server.count(.statement("UPDATE")) == 1)
            try await engine.answers(7)
            #expect(engine.statistics.opened == 2)
        }
    }

    @Test func `while a connection is idle, with 57P01, is not noticed by the next caller`() async throws {
        try await withWarmEngine { server, engine in
            server.say(ServerBytes.fatal("57P01"), thenClose: true)
            try await eventually("the pool has heard of it: \(engine.statistics)") { engine.statistics.closed == 1 }
            try await engine.answers(7)
        }
    }

    @Test func `in the middle of a message, and stays, is left when the statement's time is up`() async throws {
        try await withServer { server in
            let engine = try Engine(
                Engine.Configuration(
                    url: server.url, pool: one, session: SessionOptions(statementTimeout: .milliseconds(500))))
            let half = Array(ServerBytes.dataRow(7, isBinary: true).dropLast(2))
            server.on(.statement("SELECT 13"), .only(half), times: 1)
            let start = ContinuousClock.now
            let error = try await failure { try await engine.echo(13) }
            if case EngineError.statementTimedOut = error {} else { Issue.record(error) }
            // The statement's time, half a second for the server's own timeout, five seconds for the cancel request.
            #expect(ContinuousClock.now - start < .seconds(15))
            try await engine.answers(7)
            await engine.shutdown()
        }
    }
}

@Suite(.timeLimit(.minutes(15))) struct `A server that speaks out of turn` {
    /// G110.
    @Test func `and opens a transaction that nobody began has it rolled back before the next caller`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("SELECT 13"), .okLeaving(status: UInt8(ascii: "T")), times: 1)
            try await engine.answers(13)
            try await engine.answers(7)
            let told = server.statements
            let rollback = try #require(told.firstIndex(of: "ROLLBACK"))
            let next = try #require(told.firstIndex(of: "SELECT 7"))
            #expect(rollback < next)
        }
    }

    @Test func `and stays in the transaction after ROLLBACK loses the connection`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("ROLLBACK"), .okLeaving(status: UInt8(ascii: "T")), times: 1)
            try await engine.withSession { try await $0.execute("INSERT") }
            try await engine.answers(7)
            #expect(engine.statistics.opened == 2)
        }
    }

    @Test func `about its settings while a connection is idle is heard, and the connection stays`() async throws {
        try await withWarmEngine { server, engine in
            for round in 1...5 {
                server.say(ServerBytes.parameterStatus("TimeZone", "Mars/\(round)"))
                try await engine.answers(round)
            }
            #expect(engine.statistics.opened == 1)
        }
    }

    @Test func `with notifications while a connection is idle is heard, and the connection stays`() async throws {
        try await withWarmEngine { server, engine in
            for round in 1...5 {
                for _ in 0..<200 { server.say(ServerBytes.notification("orders", "payload \(round)")) }
                try await engine.answers(round)
            }
            #expect(engine.statistics.opened == 1)
        }
    }

    /// O222.
    @Test func `with notifications between two answers does not lose them`() async throws {
        try await withWarmEngine { server, engine in
            let noise = ServerBytes.notification("orders", "x") + ServerBytes.parameterStatus("TimeZone", "Mars")
            server.on(.statement(""), .okThen(noise))
            let numbers = try await engine.withTransaction { session in
                var numbers: [Int] = []
                for _ in 0..<5 { numbers.append(try await session.query("SELECT 5", as: Int.self).one()) }
                return numbers
            }
            #expect(numbers == [5, 5, 5, 5, 5])
            #expect(engine.statistics.opened == 1)
        }
    }

    /// M209. Not for a SELECT, whose row description libpq forgets, without freeing it, when COPY is asked for after it.
    @Test func `and wants COPY data for an UPDATE is told goodbye`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("UPDATE"), .only(ServerBytes.copyInResponse), times: 1)
            let error = try await failure { try await engine.execute("UPDATE") }
            #expect(error.isConnectionLost, "\(error)")
            try await engine.answers(7)
            #expect(engine.statistics.opened == 2)
        }
    }

    @Test(arguments: [Reaction.error("XX000"), .cut, .garbage, .fatal("57P01")])
    func `at a reset loses the connection, and no caller hears of it`(_ end: Reaction) async throws {
        let options = PoolOptions(size: 1, maxOverflow: 0, resetOnReturn: .discardAll)
        let diary = Diary()
        try await withWarmEngine(options, observers: [diary]) { server, engine in
            server.on(.statement("DISCARD ALL"), end, times: 1)
            try await engine.answers(13)
            try await engine.answers(7)
            #expect(engine.statistics.opened == 2)
            #expect(diary.events.all.contains("invalidate"))
        }
    }

    @Test func `without the key for cancel requests serves; a cancelled statement costs the connection`() async throws {
        try await withServer { server in
            server.omitKeyData()
            try await withEngine(on: server) { engine in
                try await engine.answers(7)
                server.on(.statement("SELECT 13"), .hold, times: 1)
                let task = Task(executorPreference: testExecutor) { try await engine.echo(13) }
                try await eventually("it is under way") { server.hasReached(.statement("SELECT 13")) }
                task.cancel()
                let error = try await failure { try await task.value }
                #expect(error is CancellationError, "\(error)")
                try await engine.answers(8)
            }
        }
    }

    /// L198.
    @Test func `and does not drop a statement for which there is no room is asked again`() async throws {
        let usual = try await dropped(refusing: 0)
        #expect(usual.count > 3)
        #expect(try await dropped(refusing: 1) == usual)
    }

    /// The statements that were dropped on a connection that keeps one, by the order in which they were prepared.
    private func dropped(refusing refusals: Int) async throws -> [Int] {
        try await withServer { server in
            try await withEngine(on: server, statementCacheSize: 1) { engine in
                // Inside a transaction nothing is dropped; after it several are due at once.
                try await engine.withTransaction { session in
                    for number in 1...3 { try await session.execute(SQLQuery(unsafeRaw: "SELECT \(number)")) }
                }
                if refusals > 0 { server.on(.statement("DEALLOCATE"), .error("57014"), times: refusals) }
                for number in 4...6 { try await engine.answers(number) }
                let names = server.statements.filter { $0.hasPrefix("DEALLOCATE") }.dropFirst(refusals)
                return names.compactMap { $0.split(separator: "_").last.flatMap { Int($0) } }.sorted()
            }
        }
    }

    @Test func `with a setting as long as libpq takes is heard to its end`() async throws {
        try await withWarmEngine { server, engine in
            let long = String(repeating: "x", count: 29_000)
            server.say(ServerBytes.parameterStatus("application_name", long))
            try await engine.answers(7)
            server.on(.statement("SELECT 13"), .okThen(ServerBytes.parameterStatus("application_name", long)))
            try await engine.answers(13)
            let answer = try await engine.withTransaction { try await $0.query("SELECT 13", as: Int.self).one() }
            #expect(answer == 13)
            #expect(engine.statistics.opened == 1)
        }
    }

    @Test func `with a setting of a megabyte, which libpq does not take, loses that connection alone`() async throws {
        try await withWarmEngine { server, engine in
            let long = ServerBytes.parameterStatus("application_name", String(repeating: "x", count: 1 << 20))
            server.on(.statement("SELECT 13"), .okThen(long), times: 1)
            let error = try await failure { try await engine.echo(13) }
            #expect(error.isConnectionLost, "\(error)")
            try await engine.answers(7)
            #expect(engine.statistics.opened == 2)
        }
    }
}

@Suite(.timeLimit(.minutes(15))) struct `A login` {
    /// H152.
    @Test func `refused for want of connections is tried again until there is one`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.connect, .fatal("53300"), times: 4)
            engine.invalidate()
            try await engine.answers(7)
            #expect(engine.statistics.connectFailures == 4)
            #expect(server.attempts.count == 6)
        }
    }

    /// H136.
    @Test func `whose caller is cancelled has one ending, and its connection one owner`() async throws {
        try await withServer { server in
            try await withEngine(on: server) { engine in
                var cancelled = 0
                for number in 0..<200 {
                    let task = Task(executorPreference: testExecutor) { try await engine.echo(number) }
                    server.onReach { if $0 == .connect { task.cancel() } }
                    switch await task.result {
                    case .success(let answer): #expect(answer == number)
                    case .failure(let error):
                        #expect(error is CancellationError, "\(error)")
                        cancelled += 1
                    }
                    engine.invalidate()
                }
                #expect(cancelled > 0)
                try await engine.answers(7)
                try await eventually("the server counts \(server.open): \(engine.statistics)") {
                    server.open == 1 && engine.statistics.idle == 1
                }
            }
        }
    }

    /// H136.
    @Test func `that crosses the pool's shutdown leaves no connection`() async throws {
        for _ in 0..<40 {
            try await withServer { server in
                let task = try await withEngine(on: server) { engine in
                    let task = Task(executorPreference: testExecutor) { try await engine.echo(7) }
                    try await eventually("it connects") { !server.attempts.isEmpty }
                    await engine.shutdown(grace: .zero)
                    return task
                }
                switch await task.result {
                case .success(let answer): #expect(answer == 7)
                case .failure(let error): #expect(error is EngineError || error is CancellationError, "\(error)")
                }
            }
        }
    }

    /// H141 H142.
    @Test func `refused after the password was rotated is the error, and the next credentials heal it`() async throws {
        try await withServer { server in
            let passwords = Journal<String>()
            passwords.append("old")
            server.require(password: "old")
            let credentials: @Sendable () async throws -> Credentials = {
                Credentials(user: "app", password: passwords.all.last)
            }
            try await withEngine(on: server, credentials: credentials) { engine in
                try await engine.answers(1)
                server.require(password: "new")
                engine.invalidate()
                let error = try await failure { try await engine.echo(2) }
                guard case EngineError.connectFailed(let cause) = error else { throw error }
                #expect(cause.sqlState == .invalidPassword)
                #expect(!"\(error)".contains("old"))

                passwords.append("new")
                let start = ContinuousClock.now
                while (try? await engine.echo(3)) == nil, ContinuousClock.now - start < .seconds(10) {
                    try await Task.sleep(for: .milliseconds(20))
                }
                try await engine.answers(4)
                // A wrong password is not hammered at: twice a second at most, and later less.
                #expect(server.attempts.count <= 6)
            }
        }
    }
}

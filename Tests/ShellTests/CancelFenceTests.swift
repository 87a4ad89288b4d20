import PostgresSessions
import Testing

@Suite(.timeLimit(.minutes(15))) struct `A cancel request` {
    /// Starts the statement, cancels it when the server runs it, and returns its task.
    private func cancelled(_ number: Int, _ server: ScriptedServer, _ engine: Engine) async throws -> Task<
        Int, any Error
    > {
        let task = Task(executorPreference: testExecutor) { try await engine.echo(number) }
        try await eventually("\(number) is under way") { server.hasReached(.statement("SELECT \(number)")) }
        task.cancel()
        return task
    }

    /// The same, while every other connection is closed, by the client and perhaps by the server too.
    private func cancelled(
        _ number: Int, _ server: ScriptedServer, _ engine: Engine, closing isClosing: Bool
    ) async throws -> Task<Int, any Error> {
        let task = Task(executorPreference: testExecutor) { try await engine.echo(number) }
        try await eventually("\(number) is under way") { server.hasReached(.statement("SELECT \(number)")) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { task.cancel() }
            group.addTask { engine.invalidate() }
            if isClosing { group.addTask { server.say(ServerBytes.fatal("57P01"), thenClose: true) } }
        }
        return task
    }

    @Test func `ends its statement, and the connection is used again`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("SELECT 13"), .hold, times: 1)
            let task = try await cancelled(13, server, engine)
            #expect(try await failure { try await task.value } is CancellationError)
            #expect(server.cancelHits == ["SELECT 13"])
            try await engine.answers(7)
            #expect(engine.statistics.opened == 1)
        }
    }

    /// As one does that comes before its statement has begun: the server forgets it.
    @Test func `without effect is made again, and the connection stays`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("SELECT 13"), .hold, times: 1)
            server.on(.cancel, .cut, times: 2)
            let task = try await cancelled(13, server, engine)
            #expect(try await failure { try await task.value } is CancellationError)
            #expect(server.cancelHits == ["SELECT 13"])
            #expect(server.count(.cancel) == 3)
            try await engine.answers(7)
            #expect(engine.statistics.opened == 1)
        }
    }

    /// J170.
    @Test func `that arrives late does not hit the next statement`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("SELECT 13"), .hold, times: 1)
            server.on(.cancel, .slow(milliseconds: 300), times: 1)
            // The statement ends by itself before the signal: the signal would hit whoever runs then.
            server.onReach { if $0 == .cancel { server.release() } }
            server.on(.statement("SELECT 7"), .slow(milliseconds: 600), times: 1)
            let task = try await cancelled(13, server, engine)
            try await engine.answers(7)
            _ = await task.result
            #expect(server.cancelHits.allSatisfy { $0 == "SELECT 13" })
        }
    }

    /// J168.
    @Test func `whose connection the server never closes costs the connection and is bounded`() async throws {
        try await withWarmEngine { server, engine in
            server.keepCancelConnectionsOpen()
            server.on(.statement("SELECT 13"), .hold, times: 1)
            let start = ContinuousClock.now
            let task = try await cancelled(13, server, engine)
            #expect(try await failure { try await task.value } is CancellationError)
            #expect(ContinuousClock.now - start < .seconds(15))
            try await engine.answers(7)
            #expect(engine.statistics.opened == 2)
        }
    }

    /// J173.
    @Test func `that nobody hears costs the connection and is bounded`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("SELECT 13"), .hold, times: 1)
            server.on(.cancel, .hold, times: 1)
            let start = ContinuousClock.now
            let task = try await cancelled(13, server, engine)
            #expect(try await failure { try await task.value } is CancellationError)
            #expect(ContinuousClock.now - start < .seconds(15))
            try await engine.answers(7)
        }
    }

    /// J178.
    @Test func `may cross the end of other connections, which both sides close`() async throws {
        let two = PoolOptions(size: 2, maxOverflow: 0, checkoutTimeout: .seconds(20), minimumIdle: 2)
        try await withWarmEngine(two) { server, engine in
            for round in 0..<60 {
                try await eventually("two are idle: \(engine.statistics)") { engine.statistics.idle == 2 }
                server.on(.statement("SELECT 13"), .hold, times: 1)
                server.forgetTheStory()
                let task = try await cancelled(13, server, engine, closing: round % 2 == 0)
                switch await task.result {
                // Where the server's end came first, the statement may have been sent again.
                case .success(let answer): #expect(answer == 13)
                case .failure(let error): #expect(error is CancellationError || error.isConnectionLost, "\(error)")
                }
            }
            try await engine.answers(7)
            try await eventually("the server counts \(server.open): \(engine.statistics)") {
                engine.statistics.opened - engine.statistics.closed == server.open
            }
        }
    }

    @Test func `is not sent for a COMMIT that is under way`() async throws {
        try await withWarmEngine { server, engine in
            server.on(.statement("COMMIT"), .slow(milliseconds: 200), times: 1)
            let task = Task(executorPreference: testExecutor) {
                try await engine.withTransaction { try await $0.execute("INSERT") }
            }
            try await eventually("COMMIT is under way") { server.hasReached(.statement("COMMIT")) }
            task.cancel()
            _ = try await task.value
            #expect(!server.hasReached(.cancel))
            #expect(engine.statistics.opened == 1)
        }
    }
}

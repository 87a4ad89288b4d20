import PostgresSessions
import PostgresSessionsTesting
import Testing

private let password = "hunter2-secret"

/// What anybody could see of an error or a value: its description, its debug description, and its dump.
private func everything(_ value: Any) -> String {
    var dumped = ""
    dump(value, to: &dumped)
    return "\(value) \(String(reflecting: value)) \(dumped)"
}

/// Within so much time, however the body ends.
private func within<R>(
    _ limit: Duration, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> R
) async rethrows -> R {
    let start = ContinuousClock.now
    defer { #expect(ContinuousClock.now - start < limit, sourceLocation: sourceLocation) }
    return try await body()
}

private func makeEngine(_ url: String, patience: Duration = .seconds(1)) throws -> Engine {
    let pool = PoolOptions(size: 2, maxOverflow: 0, checkoutTimeout: patience, connectTimeout: .seconds(5))
    return try Engine(Engine.Configuration(url: url, pool: pool))
}

/// Nothing of the engine's is left in anybody's hands.
private func expectWhole(_ engine: Engine, sourceLocation: SourceLocation = #_sourceLocation) {
    let now = engine.statistics
    #expect(now.leased == 0 && now.waiting == 0, sourceLocation: sourceLocation)
}

/// T06 and T12: which forms are accepted, and what is shown of them.
@Suite(.timeLimit(.minutes(30))) struct `A connection string` {
    @Test(arguments: [
        ("postgresql://app:\(password)@[::1/shop", "IPv6"),
        ("postgresql://app:\(password)%zz@host/shop", "percent-encoded"),
        ("host=localhost password='\(password)", "quote"),
        ("host=localhost \(password)", "missing"),
        ("postgresql://app:\(password)@localhost/shop?no_such_keyword=1", "no_such_keyword"),
        ("host=localhost password=\(password) no_such_keyword=1", "no_such_keyword"),
        ("postgresql://app:\(password)@localhost/\0", "NUL"),
        ("postgresql://app:\(password)/x@localhost/shop", "port"),
        ("postgresql://app:p@\(password)@localhost/shop", "host"),
        ("postgresql+asyncpg://app:\(password)@localhost/shop?ssl=require", "scheme"),
        ("jdbc:postgresql://app:\(password)@localhost/shop?ssl=require", "scheme"),
        ("server=localhost;password=\(password) x=1", "server"),
    ])
    func `that libpq does not understand is refused at once, by name`(url: String, named: String) throws {
        let error = #expect(throws: EngineError.self) { try Engine(url: url) }
        let thrown = try #require(error)
        #expect(Outcome(thrown) == .invalidConfiguration)
        #expect("\(thrown)".contains(named))
        #expect(!everything(thrown).contains("hunter2"))
    }

    /// H148. libpq would say so only when it connects.
    @Test(arguments: ["sslmode=perhaps", "target_session_attrs=whoever", "tcp_user_timeout=soon", "port=99999"])
    func `with a value that means nothing is refused at once, by name`(option: String) throws {
        let error = #expect(throws: EngineError.self) {
            try Engine(url: "host=localhost password=\(password) \(option)")
        }
        let thrown = try #require(error)
        #expect(Outcome(thrown) == .invalidConfiguration)
        #expect("\(thrown)".contains(try #require(option.split(separator: "=").first)))
        #expect(!everything(thrown).contains("hunter2"))
    }

    @Test(arguments: [
        PoolOptions(size: 0), PoolOptions(maxOverflow: -1), PoolOptions(checkoutTimeout: .seconds(-1)),
        PoolOptions(maxWaiters: -1), PoolOptions(maxLifetime: .zero), PoolOptions(lifetimeJitter: 1.5),
        PoolOptions(idleTimeout: .zero), PoolOptions(size: 2, minimumIdle: 3), PoolOptions(connectTimeout: .zero),
        PoolOptions(leakDetectionThreshold: .zero), PoolOptions(leakDetectionThreshold: .seconds(-1)),
        PoolOptions(prePing: .automatic(idleLongerThan: .seconds(-1))), PoolOptions(lifetimeJitter: .nan),
        PoolOptions(maxLifetime: .seconds(Int64.min)),
    ])
    func `needs options that can mean something`(pool: PoolOptions) throws {
        let error = #expect(throws: EngineError.self) {
            try Engine(Engine.Configuration(url: "postgresql://localhost/shop", pool: pool))
        }
        #expect(Outcome(try #require(error)) == .invalidConfiguration)
    }

    @Test func `takes the longest times for ever`() async throws {
        try await withShop { shop in
            let ever = Duration.seconds(Int64.max)
            let pool = PoolOptions(
                size: .max, maxOverflow: .max, checkoutTimeout: ever, maxWaiters: .max,
                prePing: .automatic(idleLongerThan: ever), maxLifetime: ever, idleTimeout: ever, connectTimeout: ever,
                leakDetectionThreshold: ever)
            let session = SessionOptions(statementTimeout: ever, lockTimeout: ever, idleInTransactionTimeout: ever)
            let engine = try Engine(
                Engine.Configuration(url: shop.url, pool: pool, session: session, statementCacheSize: .max))
            try await engine.execute("SELECT 1")
            try await engine.withTransaction(checkoutTimeout: ever) { session in
                let results = try await session.withTimeout(ever) { session in
                    try await session.execute(batch: (0..<300).map { "SELECT \($0)" })
                }
                #expect(results.count == 300)
            }
            let late = await outcome { try await engine.withConnection(checkoutTimeout: .seconds(Int64.min)) { _ in } }
            #expect(late == .returned)
            await engine.shutdown(grace: ever)
        }
    }

    @Test func `is nowhere in what an engine shows of itself`() throws {
        let engine = try Engine(url: "postgresql://app:\(password)@localhost/shop")
        #expect(!"\(engine) \(engine.statistics)".contains("hunter2"))
        #expect(!everything(engine).contains("hunter2"))
        #expect(!everything(engine.configuration).contains("hunter2"))
        #expect("\(engine.configuration)".contains("host=localhost"))
    }

    @Test func `is nowhere in what a session shows of itself`() async throws {
        let engine = try Engine(url: "postgresql://app:\(password)@localhost/shop")
        let session = engine.makeSession()
        #expect(!everything(session).contains("hunter2"))
        await session.close()
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A server that cannot be reached` {
    /// G121 H129.
    @Test func `refuses, and the error names host and port`() async throws {
        let proxy = try await FaultProxy.start(to: "postgresql://app:\(password)@127.0.0.1:1/shop")
        proxy.refuse()
        let engine = try makeEngine(proxy.url)
        let error = try await within(.seconds(30)) {
            try await failure { try await engine.withTransaction { try await $0.execute("SELECT 1") } }
        }
        #expect([.connectFailed, .checkoutTimedOut].contains(Outcome(error)))
        #expect("\(error)".contains("127.0.0.1") && "\(error)".contains("\(proxy.port)"))
        #expect(!everything(error).contains("hunter2"))
        expectWhole(engine)
        await engine.shutdown()
        await proxy.stop()
    }

    /// H134.
    @Test func `never answers, and the error says so when the time is up`() async throws {
        try await withShop { shop in
            let proxy = try await FaultProxy.start(to: shop.url)
            proxy.stall()
            let pool = PoolOptions(
                size: 1, maxOverflow: 0, checkoutTimeout: .seconds(20), connectTimeout: .milliseconds(200))
            let engine = try Engine(Engine.Configuration(url: proxy.url, pool: pool))
            let error = try await within(.seconds(10)) {
                try await failure { try await engine.execute("SELECT 1") }
            }
            #expect([.connectFailed, .checkoutTimedOut].contains(Outcome(error)))
            #expect("\(error)".contains("no answer in time"))
            #expect("\(error)".contains("127.0.0.1") && "\(error)".contains("\(proxy.port)"))
            expectWhole(engine)
            proxy.resume()
            try await eventually("it answers again") { await outcome { try await engine.ping() } == .returned }
            await engine.shutdown()
            await proxy.stop()
        }
    }

    @Test func `has a name that nobody knows`() async throws {
        let engine = try makeEngine("postgresql://app:\(password)@no-such-host.invalid/shop")
        let error = try await within(.seconds(30)) { try await failure { try await engine.ping() } }
        #expect([.connectFailed, .checkoutTimedOut].contains(Outcome(error)))
        #expect("\(error)".contains("no-such-host.invalid"))
        #expect(!everything(error).contains("hunter2"))
        expectWhole(engine)
        await engine.shutdown()
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A server that does not let one in` {
    /// H141.
    @Test func `for a wrong password says so at once, without the password`() async throws {
        try await withServer(password: password) { server in
            let wrong = try makeEngine(server.url(password: "hunter2-mistyped"), patience: .seconds(30))
            for attempt in [0, 1] {
                let error = try await within(.seconds(10)) {
                    try await failure { try await wrong.withTransaction { try await $0.execute("SELECT 1") } }
                }
                guard case EngineError.connectFailed(let cause) = error else { throw error }
                #expect(cause.sqlState == .invalidPassword, "attempt \(attempt)")
                #expect("\(error)".contains("postgres"))
                #expect(!everything(error).contains("hunter2"))
            }
            expectWhole(wrong)
            await wrong.shutdown()

            let right = try makeEngine(server.url, patience: .seconds(30))
            #expect(try await right.query("SELECT 1", as: Int.self).one() == 1)
            await right.shutdown()
        }
    }

    /// H142.
    @Test func `is asked with the credentials of that moment`() async throws {
        try await withServer(password: password) { server in
            let asked = Journal<Int>()
            let configuration = Engine.Configuration(
                url: server.url(password: "outdated"),
                credentials: {
                    asked.append(1)
                    return Credentials(user: "postgres", password: password)
                })
            let engine = try Engine(configuration)
            #expect(try await engine.query("SELECT 1", as: Int.self).one() == 1)
            engine.invalidate()
            #expect(try await engine.query("SELECT 1", as: Int.self).one() == 1)
            #expect(asked.all.count == 2)
            #expect(
                !everything(EngineError.invalidState("\(Credentials(user: "app", password: password))")).contains(
                    "hunter2"))
            await engine.shutdown()
        }
    }

    /// H149. A startup packet may have ten thousand bytes, and a password more than fits one read.
    @Test func `takes what is as long as it may be, and says so of what is longer`() async throws {
        let long = String(repeating: "hunter2-", count: 100)
        try await withServer(password: long) { server in
            let name = String(repeating: "x", count: 9_000)
            let fitting = try makeEngine(server.url(parameters: ["application_name": name]), patience: .seconds(60))
            #expect(try await fitting.query("SELECT 1", as: Int.self).one() == 1)
            await fitting.shutdown()

            let excessive = try makeEngine(server.url(parameters: ["application_name": name + name]))
            let error = try await within(.seconds(30)) { try await failure { try await excessive.ping() } }
            #expect([.connectFailed, .checkoutTimedOut].contains(Outcome(error)))
            #expect("\(error)".contains("closed the connection"))
            #expect(!everything(error).contains("hunter2"))
            await excessive.shutdown()
        }
    }

    @Test func `has no such database`() async throws {
        let server = try await SharedServer.get()
        let engine = try makeEngine(server.url(database: "no_such_shop"), patience: .seconds(30))
        let error = try await within(.seconds(10)) { try await failure { try await engine.execute("SELECT 1") } }
        guard case EngineError.connectFailed(let cause) = error else { throw error }
        #expect(cause.sqlState == .invalidCatalogName)
        #expect("\(error)".contains("no_such_shop"))
        expectWhole(engine)
        await engine.shutdown()
    }

    /// H152.
    @Test func `has no connection left, and one gets it when there is one`() async throws {
        try await withServer(settings: ["max_connections": "4", "superuser_reserved_connections": "0"]) { server in
            let greedy = try Engine(Engine.Configuration(url: server.url, pool: PoolOptions(size: 4, maxOverflow: 0)))
            let late = try makeEngine(server.url, patience: .seconds(30))
            try await late.ping()
            late.invalidate()
            let waited = try await greedy.withConnection { _ in
                try await greedy.withConnection { _ in
                    try await greedy.withConnection { _ in
                        try await greedy.withConnection { _ in
                            let waited = Task(executorPreference: testExecutor) {
                                try await late.query("SELECT 1", as: Int.self).one()
                            }
                            try await eventually("the server refuses") { late.statistics.connectFailures > 0 }
                            return waited
                        }
                    }
                }
            }
            await greedy.shutdown()
            #expect(try await waited.value == 1)
            await late.shutdown()
        }
    }
}

import PostgresSessions
import PostgresSessionsTesting
import Testing

private func pool(_ size: Int, timeout: Duration = .seconds(30), maxWaiters: Int? = nil) -> PoolOptions {
    PoolOptions(size: size, maxOverflow: 0, checkoutTimeout: timeout, maxWaiters: maxWaiters)
}

/// Tasks that each ask for one answer, in line: the next asks only when the one before it waits.
private func queue(_ count: Int, at shop: Shop, _ served: Journal<Int>) async throws -> [Task<Outcome, Never>] {
    var tasks: [Task<Outcome, Never>] = []
    let alreadyWaiting = shop.engine.statistics.waiting
    for number in 0..<count {
        tasks.append(
            Task(executorPreference: testExecutor) {
                await outcome { try await shop.engine.withConnection { _ in served.append(number) } }
            })
        try await eventually("\(number) waits") { shop.engine.statistics.waiting == alreadyWaiting + number + 1 }
    }
    return tasks
}

@Suite(.timeLimit(.minutes(30))) struct `A checkout` {
    @Test func `that times out says the numbers of that moment`() async throws {
        try await withShop(pool(2)) { shop in
            try await shop.engine.withConnection { _ in
                try await shop.engine.withConnection { _ in
                    let error = try await failure {
                        try await shop.engine.withConnection(checkoutTimeout: .milliseconds(100)) { _ in }
                    }
                    guard case EngineError.checkoutTimedOut(let then) = error else { throw error }
                    #expect(then.size == 2 && then.leased == 2 && then.idle == 0)
                    #expect("\(error)".contains("pool 2+0") && "\(error)".contains("2 leased"))
                }
            }
            #expect(shop.engine.statistics.timeouts == 1)
            try await shop.engine.execute("SELECT 1")
        }
    }

    @Test func `takes its own timeout over the pool's`() async throws {
        try await withShop(pool(1)) { shop in
            try await shop.engine.withConnection { _ in
                let short = Duration.milliseconds(50)
                let connection = await outcome {
                    try await shop.engine.withConnection(checkoutTimeout: short) { _ in }
                }
                let session = await outcome {
                    try await shop.engine.withSession(checkoutTimeout: short) { try await $0.execute("SELECT 1") }
                }
                let transaction = await outcome {
                    try await shop.engine.withTransaction(checkoutTimeout: short) { try await $0.execute("SELECT 1") }
                }
                #expect(
                    [connection, session, transaction] == [.checkoutTimedOut, .checkoutTimedOut, .checkoutTimedOut])
            }
        }
    }

    @Test func `is served in the order of arrival`() async throws {
        try await withShop(pool(1)) { shop in
            let served = Journal<Int>()
            let tasks = try await shop.engine.withConnection { _ in try await queue(8, at: shop, served) }
            for task in tasks { #expect(await task.value == .returned) }
            #expect(served.all == Array(0..<8))
        }
    }

    @Test func `is refused at once where too many wait`() async throws {
        try await withShop(pool(1, maxWaiters: 2)) { shop in
            let served = Journal<Int>()
            let tasks = try await shop.engine.withConnection { _ in
                let tasks = try await queue(2, at: shop, served)
                let error = try await failure { try await shop.engine.execute("SELECT 1") }
                guard case EngineError.tooManyWaiters(let then) = error else { throw error }
                #expect(then.waiting == 2)
                return tasks
            }
            for task in tasks { #expect(await task.value == .returned) }
        }
    }

    @Test func `overflows to the limit and no further, and the overflow closes when it comes back`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 2)) { shop in
            try await shop.engine.withConnection { _ in
                try await shop.engine.withConnection { _ in
                    try await shop.engine.withConnection { _ in
                        let fourth = await outcome {
                            try await shop.engine.withConnection(checkoutTimeout: .milliseconds(200)) { _ in }
                        }
                        #expect(fourth == .checkoutTimedOut)
                        #expect(shop.engine.statistics.leased == 3)
                    }
                }
            }
            try await eventually("one is left") { try await shop.backends().count == 1 }
            #expect(shop.engine.statistics.idle == 1)
        }
    }

    @Test func `serves thousands of short units of work over a few connections`() async throws {
        try await withShop(PoolOptions(size: 3, maxOverflow: 2)) { shop in
            try await transactions(1_000, in: shop)
            #expect(try await shop.itemCount() == 1_000)
            #expect(shop.engine.statistics.opened <= 5)
            #expect(shop.engine.statistics.checkouts == 1_000)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `An engine's executor` {
    /// What is always ready to run does not keep an answer, a timer or another thread's job from being heard.
    @Test func `hears of sockets and timers between jobs that never end`() async throws {
        try await withShop(pool(1)) { shop in
            let busy = (0..<16).map { _ in
                Task(executorPreference: shop.engine.executor) { while !Task.isCancelled { await Task.yield() } }
            }
            defer { for task in busy { task.cancel() } }
            let start = ContinuousClock.now
            let late = try await Task(executorPreference: shop.engine.executor) {
                for _ in 1...100 { try await shop.engine.execute("SELECT 1") }
                return try await shop.engine.withConnection { _ in
                    await outcome { try await shop.engine.withConnection(checkoutTimeout: .milliseconds(50)) { _ in } }
                }
            }.value
            #expect(late == .checkoutTimedOut)
            #expect(ContinuousClock.now - start < .seconds(10))
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `An engine at run time` {
    @Test func `is warm after warming up, and pings`() async throws {
        try await withShop(PoolOptions(size: 4, maxOverflow: 0, minimumIdle: 3)) { shop in
            try await shop.engine.warmUp()
            #expect(shop.engine.statistics.idle >= 3)
            try await shop.engine.ping()
            #expect(try await shop.backends().count >= 3)
        }
    }

    @Test func `cannot warm up without a server, and says why`() async throws {
        let proxy = try await FaultProxy.start(to: "postgresql://127.0.0.1:1/shop")
        proxy.refuse()
        let options = PoolOptions(checkoutTimeout: .milliseconds(300), minimumIdle: 2)
        let engine = try Engine(Engine.Configuration(url: proxy.url, pool: options))
        let error = try await failure { try await engine.warmUp() }
        #expect("\(error)".contains("refused"))
        await engine.shutdown()
        await proxy.stop()
    }

    @Test func `cannot warm up to more than the server has, and says why`() async throws {
        let settings = ["max_connections": "5", "superuser_reserved_connections": "0", "max_wal_senders": "0"]
        let server = try await TemporaryPostgres.start(settings: settings)
        let options = PoolOptions(size: 8, maxOverflow: 0, checkoutTimeout: .seconds(20), minimumIdle: 8)
        let engine = try Engine(Engine.Configuration(url: server.url, pool: options))
        let error = try await failure { try await engine.warmUp() }
        guard case EngineError.connectFailed(let cause) = error else { throw error }
        #expect(cause.sqlState == .tooManyConnections)
        await engine.shutdown()
        await server.stop()
    }

    @Test func `ends its warming up with its task's cancellation`() async throws {
        try await withShop { shop in
            let proxy = try await FaultProxy.start(to: shop.url)
            proxy.stall()
            let engine = try Engine(url: proxy.url)
            let warming = Task { await outcome { try await engine.warmUp() } }
            try await eventually("it connects") { engine.statistics.connecting == 1 }
            warming.cancel()
            let start = ContinuousClock.now
            #expect(await warming.value == .cancelled)
            #expect(ContinuousClock.now - start < .seconds(5))
            await engine.shutdown()
            await proxy.stop()
        }
    }

    @Test func `grows for those who wait when it is resized`() async throws {
        try await withShop(pool(1)) { shop in
            let served = Journal<Int>()
            try await shop.engine.withConnection { _ in
                let tasks = try await queue(2, at: shop, served)
                shop.engine.resize(size: 3, maxOverflow: 0)
                for task in tasks { #expect(await task.value == .returned) }
            }
            #expect(shop.engine.statistics.size == 3)
        }
    }

    @Test func `may be given an overflow without limit, and no size below one`() async throws {
        try await withShop(pool(1)) { shop in
            let served = Journal<Int>()
            shop.engine.resize(size: 0, maxOverflow: -3)
            #expect(shop.engine.statistics.size == 1 && shop.engine.statistics.maxOverflow == 0)
            try await shop.engine.withConnection { _ in
                let tasks = try await queue(2, at: shop, served)
                shop.engine.resize(size: 1, maxOverflow: .unlimited)
                for task in tasks { #expect(await task.value == .returned) }
            }
            #expect(shop.engine.statistics.maxOverflow == nil)
            try await eventually("one is kept") { shop.engine.statistics.idle == 1 }
        }
    }

    @Test func `shrinks without taking a connection from anybody`() async throws {
        try await withShop(pool(4)) { shop in
            try await fill(shop, 4)
            try await shop.engine.withConnection { first in
                try await shop.engine.withConnection { second in
                    shop.engine.resize(size: 1, maxOverflow: 0)
                    try await first.execute("SELECT 1")
                    try await second.execute("SELECT 1")
                }
            }
            try await eventually("one is left") { try await shop.backends().count == 1 }
        }
    }

    @Test func `replaces every connection when it is invalidated`() async throws {
        try await withShop(pool(3)) { shop in
            try await fill(shop, 3)
            let old = try await shop.backends()
            try await shop.engine.withTransaction { session in
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                shop.engine.invalidate()
                try await session.execute("INSERT INTO items VALUES (2, 'item')")
            }
            try await eventually("the old ones are gone") { try await Set(shop.backends()).isDisjoint(with: old) }
            try await transactions(3, in: shop, from: 10)
            #expect(try await shop.itemCount() == 5)
        }
    }

    @Test func `replaces connections that have lived long enough, unseen`() async throws {
        let options = PoolOptions(size: 2, maxOverflow: 0, maxLifetime: .milliseconds(50))
        try await withShop(options) { shop in
            var id = 0
            try await eventually("several have lived") {
                id += 1
                try await transactions(1, in: shop, from: id)
                return shop.engine.statistics.closed >= 3
            }
            #expect(try await shop.itemCount() == id)
        }
    }

    @Test func `closes connections that nobody needs`() async throws {
        let options = PoolOptions(size: 4, maxOverflow: 0, idleTimeout: .milliseconds(100), minimumIdle: 1)
        try await withShop(options) { shop in
            _ = try await shop.whileLocked {
                let tasks = (0..<4).map { _ in
                    Task(executorPreference: testExecutor) { try await shop.engine.execute(shop.lockedStatement) }
                }
                try await shop.untilWaiting(4)
                return tasks
            }
            try await eventually("one is left") {
                try await shop.backends().count == 1 && shop.engine.statistics.closed == 3
            }
        }
    }

    @Test func `forgets everything between two borrowers where it was told to`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0, resetOnReturn: .discardAll)) { shop in
            for _ in 1...3 {
                let seen = try await shop.engine.withConnection { connection in
                    let seen = try await connection.query(
                        "SELECT count(*) FROM pg_class WHERE relname = 'basket'", as: Int.self
                    ).one()
                    try await connection.execute("CREATE TEMPORARY TABLE basket (id int8)")
                    try await connection.execute("SET application_name = 'changed'")
                    return seen
                }
                #expect(seen == 0)
                let name = try await shop.engine.query("SHOW application_name", as: String.self).one()
                #expect(name == shop.name)
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `Shutting an engine down` {
    @Test func `refuses new work and may be said twice`() async throws {
        try await withShop { shop in
            try await shop.engine.execute("SELECT 1")
            await shop.engine.shutdown()
            await shop.engine.shutdown()
            let statement = await outcome { try await shop.engine.execute("SELECT 1") }
            let transaction = await outcome {
                try await shop.engine.withTransaction { session in try await session.execute("SELECT 1") }
            }
            let ping = await outcome { try await shop.engine.ping() }
            #expect([statement, transaction, ping] == [.shutDown, .shutDown, .shutDown])
            #expect(try await shop.backends().isEmpty)
        }
    }

    @Test func `lets what runs come to its end`() async throws {
        try await withShop { shop in
            let (work, shutdown) = try await shop.whileLocked {
                let work = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withTransaction { session in
                            try await session.execute("INSERT INTO items VALUES (1, 'item')")
                            try await session.execute(shop.lockedStatement)
                        }
                    }
                }
                try await shop.untilWaiting()
                let shutdown = Task(executorPreference: testExecutor) {
                    await shop.engine.shutdown(grace: .seconds(60))
                }
                try await eventually("new work is refused") {
                    await outcome { try await shop.engine.execute("SELECT 1") } == .shutDown
                }
                return (work, shutdown)
            }
            #expect(await work.value == .returned)
            await shutdown.value
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test func `cancels what runs beyond the grace`() async throws {
        try await withShop { shop in
            try await shop.whileLocked {
                let work = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withTransaction { session in
                            try await session.execute("INSERT INTO items VALUES (1, 'item')")
                            try await session.execute(shop.lockedStatement)
                        }
                    }
                }
                try await shop.untilWaiting()
                let start = ContinuousClock.now
                await shop.engine.shutdown(grace: .milliseconds(100))
                #expect(ContinuousClock.now - start < .seconds(20))
                #expect([.cancelled, .shutDown, .connectionLost].contains(await work.value))
            }
            #expect(try await shop.itemCount() == 0)
        }
    }

    @Test func `tells those who wait for a connection`() async throws {
        try await withShop(pool(1)) { shop in
            let served = Journal<Int>()
            try await shop.engine.withConnection { _ in
                let tasks = try await queue(3, at: shop, served)
                let shutdown = Task(executorPreference: testExecutor) {
                    await shop.engine.shutdown(grace: .seconds(30))
                }
                for task in tasks { #expect(await task.value == .shutDown) }
                _ = shutdown
            }
            #expect(served.all == [])
        }
    }
}

import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct `A server that restarts` {
    @Test(arguments: [TemporaryPostgres.ShutdownMode.fast, .immediate])
    func `between two units of work is not noticed`(mode: TemporaryPostgres.ShutdownMode) async throws {
        try await withServer { server in
            try await withShop(PoolOptions(size: 4, maxOverflow: 0), server: server) { shop in
                try await fill(shop, 4)
                try await server.restart(mode)
                try await transactions(20, in: shop)
                #expect(try await shop.itemCount() == 20)
            }
        }
    }

    @Test func `while units of work run loses no acknowledged commit and doubles none`() async throws {
        try await withServer { server in
            try await withShop(PoolOptions(size: 4, maxOverflow: 0), server: server) { shop in
                let (acknowledged, unknown, stop) = (Journal<Int>(), Journal<Int>(), Journal<Bool>())
                let work = Task(executorPreference: testExecutor) {
                    await withTaskGroup(of: Void.self) { group in
                        for worker in 0..<4 {
                            group.addTask {
                                var id = worker
                                while stop.all.isEmpty {
                                    let ending = await insert(id, in: shop)
                                    if ending == .returned { acknowledged.append(id) }
                                    if ending == .commitOutcomeUnknown { unknown.append(id) }
                                    id += 4
                                }
                            }
                        }
                    }
                }
                for mode in [TemporaryPostgres.ShutdownMode.fast, .immediate] {
                    let before = acknowledged.all.count
                    try await eventually("work is done") { acknowledged.all.count > before + 100 }
                    try await server.restart(mode)
                }
                let before = acknowledged.all.count
                try await eventually("work is done again") { acknowledged.all.count > before + 100 }
                stop.append(true)
                await work.value
                let stored = Set(try await shop.witness.query("SELECT id FROM items", as: Int.self).all())
                #expect(Set(acknowledged.all).isSubset(of: stored))
                #expect(stored.isSubset(of: Set(acknowledged.all + unknown.all)))
            }
        }
    }

    private func insert(_ id: Int, in shop: Shop) async -> Outcome {
        await outcome {
            try await shop.engine.withTransaction { session in
                try await session.execute("INSERT INTO items VALUES (\(id), 'item')")
            }
        }
    }

    /// H130 H132.
    @Test func `is waited for by those who have patience`() async throws {
        try await withServer { server in
            try await withShop(server: server) { shop in
                try await shop.engine.execute("SELECT 1")
                try await server.shutDown()
                let waiting = Task(executorPreference: testExecutor) { await insert(1, in: shop) }
                try await eventually("it has tried") { shop.engine.statistics.connectFailures > 0 }
                try await server.startAgain()
                #expect(await waiting.value == .returned)
            }
        }
    }

    /// Those who wait keep the pauses between attempts short, so whoever has a second's patience is served afterwards.
    @Test func `and is away for ten seconds is used again within one`() async throws {
        let options = PoolOptions(size: 4, maxOverflow: 0, checkoutTimeout: .seconds(10))
        try await withShop(options, behindProxy: true) { shop in
            try await fill(shop, 4)
            let proxy = try shop.proxy
            proxy.refuse()
            proxy.cut()
            let before = shop.engine.statistics.connectFailures
            await withTaskGroup(of: Void.self) { crowd in
                for id in 0..<50 { crowd.addTask { #expect(await insert(id, in: shop) == .checkoutTimedOut) } }
            }
            let attempts = shop.engine.statistics.connectFailures - before
            #expect((18...100).contains(attempts), "\(attempts) attempts in ten seconds")
            proxy.accept()
            try await Task.sleep(for: .seconds(1))
            try await shop.engine.withConnection(checkoutTimeout: .seconds(1)) { connection in
                _ = try await connection.execute("SELECT 1")
            }
        }
    }

    /// H130 H133.
    @Test func `refuses and accepts again, and nobody who has patience is told`() async throws {
        try await withShop(behindProxy: true) { shop in
            try await fill(shop, 4)
            let proxy = try shop.proxy
            proxy.refuse()
            proxy.cut()
            let work = Task(executorPreference: testExecutor) { try await transactions(10, in: shop) }
            try await eventually("it has tried") { shop.engine.statistics.connectFailures > 0 }
            proxy.accept()
            try await work.value
            #expect(try await shop.itemCount() == 10)
        }
    }
}

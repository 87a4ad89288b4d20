import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(5))) struct `A server that restarts` {
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
                let work = Task {
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

    @Test func `is waited for by those who have patience`() async throws {
        try await withServer { server in
            try await withShop(server: server) { shop in
                try await shop.engine.execute("SELECT 1")
                try await server.shutDown()
                let waiting = Task { await insert(1, in: shop) }
                try await eventually("it has tried") { shop.engine.statistics.connectFailures > 0 }
                try await server.startAgain()
                #expect(await waiting.value == .returned)
            }
        }
    }

    @Test func `refuses and accepts again, and nobody who has patience is told`() async throws {
        try await withShop(behindProxy: true) { shop in
            try await fill(shop, 4)
            let proxy = try shop.proxy
            proxy.refuse()
            proxy.cut()
            let work = Task { try await transactions(10, in: shop) }
            try await eventually("it has tried") { shop.engine.statistics.connectFailures > 0 }
            proxy.accept()
            try await work.value
            #expect(try await shop.itemCount() == 10)
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct `Backends that are ended all the time` {
    /// Transfers between accounts while an administrator ends every backend again and again.
    @Test func `leave the sum of the accounts exact, each acknowledged transfer in, and the pool whole`() async throws {
        try await withShop(PoolOptions(size: 8, maxOverflow: 4)) { shop in
            try await shop.witness.execute(
                "INSERT INTO items SELECT id, 'account', 100 FROM generate_series(1, 16) AS id")
            try await shop.witness.execute("CREATE TABLE transfers (id int8 PRIMARY KEY)")
            let (acknowledged, unknown, surprises) = (Journal<Int>(), Journal<Int>(), Journal<String>())
            let stop = Journal<Bool>()
            let work = Task {
                await withTaskGroup(of: Void.self) { group in
                    for worker in 0..<32 {
                        group.addTask {
                            var id = worker
                            while stop.all.isEmpty {
                                switch await transfer(id, in: shop) {
                                case .returned: acknowledged.append(id)
                                case .commitOutcomeUnknown: unknown.append(id)
                                case .connectionLost: break
                                case let other: surprises.append("\(other)")
                                }
                                id += 32
                            }
                        }
                    }
                }
            }
            let end = ContinuousClock.now + .seconds(4)
            while ContinuousClock.now < end {
                try await shop.witness.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = \(shop.name)")
                try await Task.sleep(for: .milliseconds(50))
            }
            stop.append(true)
            await work.value

            let sum = try await shop.witness.query("SELECT sum(price) FROM items", as: Double.self).one()
            #expect(sum == 1600)
            let stored = Set(try await shop.witness.query("SELECT id FROM transfers", as: Int.self).all())
            #expect(Set(acknowledged.all).isSubset(of: stored))
            #expect(stored.isSubset(of: Set(acknowledged.all + unknown.all)))
            #expect(acknowledged.all.count > 10)
            #expect(surprises.all == [])
        }
    }

    private func transfer(_ id: Int, in shop: Shop) async -> Outcome {
        let (from, to) = (id % 16 + 1, (id * 7 + 3) % 16 + 1)
        return await outcome {
            try await shop.engine.withTransaction(retry: .onConflict(maxAttempts: 10)) { session in
                try await session.execute("INSERT INTO transfers VALUES (\(id))")
                try await session.execute("UPDATE items SET price = price - 1 WHERE id = \(from)")
                try await session.execute("UPDATE items SET price = price + 1 WHERE id = \(to)")
            }
        }
    }
}

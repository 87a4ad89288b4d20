import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct `Connections that are ended all the time` {
    /// Transfers between accounts while an administrator ends every backend, and the network every connection, again and
    /// again. T14 too: nobody gets a dead connection twice, and the counters are at rest at the end.
    @Test func `leave the sum of the accounts exact, each acknowledged transfer in, and the pool whole`() async throws {
        try await withShop(PoolOptions(size: 8, maxOverflow: 4), behindProxy: true) { shop in
            try await shop.witness.execute(
                "INSERT INTO items SELECT id, 'account', 100 FROM generate_series(1, 16) AS id")
            try await shop.witness.execute("CREATE TABLE transfers (id int8 PRIMARY KEY)")
            try await shop.engine.warmUp()  // a server that was never reached is an error at once
            let stop = Journal<Bool>()
            let bank = Bank()
            let work = Task(executorPreference: testExecutor) {
                await withTaskGroup(of: Void.self) { group in
                    for teller in 0..<Bank.tellers {
                        group.addTask { await bank.work(in: shop, teller: teller, until: stop) }
                    }
                }
            }
            let rounds = try await disturb(shop, bank, for: isFullSize ? .seconds(20) : .seconds(4))
            stop.append(true)
            await work.value

            let sum = try await shop.witness.query("SELECT sum(price) FROM items", as: Double.self).one()
            #expect(sum == 1600)
            let stored = Set(try await shop.witness.query("SELECT id FROM transfers", as: Int.self).all())
            let (acknowledged, unknown) = (Set(bank.acknowledged.all), Set(bank.unknown.all))
            #expect(acknowledged.isSubset(of: stored))
            #expect(stored.isSubset(of: acknowledged.union(unknown)))
            #expect(acknowledged.count > 10)
            #expect(bank.surprises.all == [])
            report(
                """
                \(Bank.tellers) tasks, every connection ended \(rounds) times, \(shop.engine.statistics.opened) opened: \
                \(acknowledged.count) transfers acknowledged, all stored; \(bank.lost.all.count) lost, none stored; \
                \(unknown.count) unknown, of which \(unknown.intersection(stored).count) stored; sum \(sum)
                """)
        }
    }

    /// Ends every connection, in three ways by turns.
    private func disturb(_ shop: Shop, _ bank: Bank, for duration: Duration) async throws -> Int {
        let end = ContinuousClock.now + duration
        var round = 0
        while ContinuousClock.now < end
            || (bank.acknowledged.all.count <= 10 && ContinuousClock.now < end + .seconds(60))
        {
            switch round % 4 {
            case 0: try shop.proxy.cut(.close)
            case 1: try shop.proxy.cut(.reset)
            default:
                try await shop.witness.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = \(shop.name)")
            }
            round += 1
            try await Task.sleep(for: .milliseconds(50))
            // A slow machine gets something done between two blows, too.
            let before = bank.acknowledged.all.count
            try? await eventually("a transfer", within: .seconds(1)) { bank.acknowledged.all.count > before }
        }
        return round
    }
}

private struct Bank {
    static let tellers = 64
    let acknowledged = Journal<Int>()
    let unknown = Journal<Int>()
    let lost = Journal<Int>()
    let surprises = Journal<String>()

    func work(in shop: Shop, teller: Int, until stop: Journal<Bool>) async {
        var id = teller
        while stop.all.isEmpty {
            do {
                try await transfer(id, in: shop)
                acknowledged.append(id)
            } catch {
                switch Outcome(error) {
                case .commitOutcomeUnknown: unknown.append(id)
                case .connectionLost: lost.append(id)
                default: if surprises.all.count < 5 { surprises.append("\(error)") }
                }
            }
            id += Self.tellers
        }
    }

    private func transfer(_ id: Int, in shop: Shop) async throws {
        let (from, to) = (id % 16 + 1, (id * 7 + 3) % 16 + 1)
        try await shop.engine.withTransaction(retry: .onConflict(maxAttempts: 10)) { session in
            try await session.execute("INSERT INTO transfers VALUES (\(id))")
            try await session.execute("UPDATE items SET price = price - 1 WHERE id = \(from)")
            try await session.execute("UPDATE items SET price = price + 1 WHERE id = \(to)")
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A server with five connections` {
    /// 53300 again and again: those who get in serve everybody, and nobody is told.
    @Test func `serves two pools that want twenty`() async throws {
        try await withServer(settings: ["max_connections": "5", "superuser_reserved_connections": "0"]) { server in
            let options = PoolOptions(size: 10, maxOverflow: 0, checkoutTimeout: .seconds(60))
            let engines = try (0..<2).map { _ in try Engine(Engine.Configuration(url: server.url, pool: options)) }
            try await engines[0].execute("CREATE TABLE items (id int8 PRIMARY KEY)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in 0..<200 {
                    group.addTask {
                        try await engines[id % 2].withTransaction { session in
                            _ = try await session.execute("INSERT INTO items SELECT \(id) FROM pg_sleep(0.01)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(engines[0].statistics.connectFailures + engines[1].statistics.connectFailures > 0)
            #expect(try await engines[0].query("SELECT count(*) FROM items", as: Int.self).one() == 200)
            for engine in engines { await engine.shutdown() }
        }
    }
}

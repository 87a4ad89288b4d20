import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct `Streams and copies that are left in every way` {
    @Test func `leave the pool whole, and their neighbours undisturbed`() async throws {
        try await withShop(PoolOptions(size: 3, maxOverflow: 1)) { shop in
            try await shop.engine.execute("INSERT INTO items SELECT i, 'item' FROM generate_series(1, 3000) AS i")
            let until = ContinuousClock.now + .seconds(3)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for lane in 0..<6 {
                    group.addTask {
                        var seed = SystemRandomNumberGenerator()
                        var ended = 0
                        while ContinuousClock.now < until {
                            let use = Int.random(in: 0..<7, using: &seed)
                            let leave = Int.random(in: 1...3000, using: &seed)
                            let task = Task(executorPreference: testExecutor) {
                                await outcome { try await Self.use(use, shop, leave) }
                            }
                            if Bool.random(using: &seed) {
                                try await Task.sleep(for: .microseconds(Int.random(in: 0...6000, using: &seed)))
                                task.cancel()
                            }
                            let ending = await task.value
                            let isFine = [.returned, .cancelled, .other("OutOfStock(id: 7)")].contains(ending)
                            #expect(isFine, "use \(use) lane \(lane): \(ending)")
                            ended += 1
                        }
                        return ended
                    }
                }
                for _ in 0..<2 {
                    group.addTask {
                        var answers = 0
                        while ContinuousClock.now < until {
                            let answer = try await shop.engine.query("SELECT \(answers)", as: Int.self).one()
                            #expect(answer == answers)
                            answers += 1
                        }
                        return answers
                    }
                }
                var total = 0
                for try await count in group { total += count }
                #expect(total > 20)
            }
            #expect(shop.engine.statistics.opened < 60)
        }
    }

    @Test func `are ended as statements are by a timeout and by a cancellation`() async throws {
        let slow: SQLQuery = "SELECT i FROM generate_series(1, 600) AS i WHERE pg_sleep(0.1)::text IS NOT NULL"
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let late = await outcome {
                try await shop.engine.withSession(options: SessionOptions(statementTimeout: .milliseconds(300))) {
                    for try await _ in try await $0.copyOut(slow, as: Int.self) {}
                }
            }
            #expect(late == .statementTimedOut)
            let scope = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.withTimeout(.milliseconds(300)) { session in
                        for try await _ in session.query(slow, as: Int.self).stream() {}
                    }
                }
            }
            #expect(scope == .statementTimedOut)
            try await shop.engine.execute(
                "CREATE VIEW locked AS SELECT pg_advisory_xact_lock(\(unsafeRaw: "\(shop.number)"))::text AS l")
            try await shop.whileLocked {
                for begins in [true, false] {
                    let task = Task(executorPreference: testExecutor) {
                        await outcome {
                            try await shop.engine.withConnection { connection in
                                let query: SQLQuery = begins ? "SELECT * FROM locked" : slow
                                for try await _ in try await connection.copyOut(query, as: String.self) {}
                            }
                        }
                    }
                    try await Task.sleep(for: .milliseconds(300))
                    task.cancel()
                    #expect(await task.value == .cancelled)
                }
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    static func use(_ use: Int, _ shop: Shop, _ leave: Int) async throws {
        let all: SQLQuery = "SELECT id FROM items"
        switch use {
        case 0:
            for try await id in shop.engine.query(all, as: Int.self).stream() where id == leave { break }
        case 1:
            try await shop.engine.withTransaction { session in
                for try await id in session.query(all, as: Int.self).stream() where id == leave { break }
                try await session.execute("SELECT 1")
                for try await id in session.query(all, as: Int.self).stream() where id == leave { throw OutOfStock() }
            }
        case 2:
            try await shop.engine.withConnection { connection in
                for try await id in connection.query(all, as: Int.self).stream() where id == leave { break }
                try await connection.execute("SELECT 1")
                for try await id in connection.query(all, as: Int.self).stream() where id == leave {
                    throw OutOfStock()
                }
            }
        case 3:
            try await shop.engine.withTransaction { session in
                for try await id in try await session.copyOut(all, as: Int.self) where id == leave { break }
                try await session.execute("SELECT 1")
            }
        case 4:
            try await shop.engine.withConnection { connection in
                for try await id in try await connection.copyOut(all, as: Int.self) where id == leave { break }
                try await connection.execute("SELECT 1")
                try await connection.withSession { session in
                    for try await id in session.query(all, as: Int.self).stream() where id == leave { break }
                    try await session.execute("SELECT 1")
                    try await session.commit()
                }
            }
        case 5:
            let session = shop.engine.makeSession()
            for try await id in session.query(all, as: Int.self).stream() where id == leave { throw OutOfStock() }
        default:
            try await shop.engine.withTransaction { session in
                try await session.withTimeout(.seconds(30)) { session in
                    try await session.withSavepoint { session in
                        for try await id in session.query(all, as: Int.self).stream() where id == leave { break }
                        if leave % 2 == 0 { throw OutOfStock() }
                    }
                }
            }
        }
    }
}

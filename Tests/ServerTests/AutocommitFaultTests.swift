import PostgresSessions
import PostgresSessionsTesting
import Testing

private let one = PoolOptions(size: 1, maxOverflow: 0)

@Suite(.timeLimit(.minutes(30))) struct `An autocommit statement whose connection ends` {
    /// Cut at each byte of its flight, there and back: it is done once or not at all, and whoever is told knows no more.
    /// J25.
    @Test(arguments: [FaultProxy.Direction.toServer, .toClient])
    func `is never done twice`(direction: FaultProxy.Direction) async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.witness.execute("CREATE TABLE notes (id int8)")
            let proxy = try shop.proxy
            var acknowledged: [Int] = []
            for byte in 0..<150 where byte < 16 || byte % 8 == 0 {
                try await shop.engine.warmUp()
                proxy.cut(afterBytes: byte, direction)
                // Without a key: what is done twice is there twice.
                let ending = await outcome { try await shop.engine.execute("INSERT INTO notes VALUES (\(byte))") }
                proxy.cut(afterBytes: .max, direction)
                #expect([.returned, .connectionLost].contains(ending), "byte \(byte)")
                if ending == .returned { acknowledged.append(byte) }
            }
            // Waits for whatever is still being done.
            try await shop.witness.withTransaction { try await $0.execute("LOCK TABLE notes") }
            let stored = try await shop.witness.query("SELECT id FROM notes", as: Int.self).all()
            #expect(Set(stored).count == stored.count)
            #expect(Set(acknowledged).isSubset(of: stored))
        }
    }

    @Test func `is lost where the backend crashes under it, and the next one works`() async throws {
        try await withShop(one) { shop in
            let task = try await shop.whileLocked {
                let task = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withConnection { connection in
                            try await connection.execute("SELECT 1")
                            try await connection.execute(shop.lockedStatement)
                        }
                    }
                }
                try await shop.untilWaiting()
                try await shop.terminateBackends()
                return task
            }
            #expect(await task.value == .connectionLost)
            try await shop.engine.execute("SELECT 1")
        }
    }

    @Test func `by an administrator's word is sent again, also on a connection that had served`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.execute("SELECT 1")
            let task = try await shop.whileLocked {
                let task = Task(executorPreference: testExecutor) {
                    await outcome { try await shop.engine.execute(shop.lockedStatement) }
                }
                try await shop.untilWaiting()
                try await shop.terminateBackends()
                return task
            }
            #expect(await task.value == .returned)
        }
    }

    @Test func `in the middle of its rows gives no rows`() async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.warmUp()
            try shop.proxy.cut(afterBytes: 100_000, .toClient)
            let ending = await outcome {
                try await shop.engine.query("SELECT repeat('x', 1000) FROM generate_series(1, 1000)", as: String.self)
                    .all()
            }
            #expect(ending == .connectionLost)
            let again = try await shop.engine.query("SELECT count(*) FROM generate_series(1, 1000)", as: Int.self).one()
            #expect(again == 1000)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `Tasks on the engine's executor` {
    @Test func `commit, roll back and are cancelled as anywhere else`() async throws {
        try await withShop(PoolOptions(size: 4, maxOverflow: 0)) { shop in
            try await withTaskExecutorPreference(shop.engine.executor) {
                try await transactions(200, in: shop)
                let failed = await outcome {
                    try await shop.engine.withTransaction { session in
                        try await session.execute("INSERT INTO items VALUES (1000, 'item')")
                        throw OutOfStock()
                    }
                }
                #expect(failed == .other("OutOfStock(id: 7)"))
                try await shop.whileLocked {
                    let task = Task(executorPreference: shop.engine.executor) {
                        await outcome { try await shop.engine.execute(shop.lockedStatement) }
                    }
                    try await shop.untilWaiting()
                    task.cancel()
                    #expect(await task.value == .cancelled)
                }
            }
            #expect(try await shop.itemCount() == 200)
        }
    }

    @Test func `keep the executor over every wait`() async throws {
        try await withShop(one) { shop in
            try await withTaskExecutorPreference(shop.engine.executor) {
                _ = try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 0..<50 {
                        group.addTask {
                            let answer = try await shop.engine.query("SELECT \(number)", as: Int.self).one()
                            let preferred = withUnsafeCurrentTask { $0?.unownedTaskExecutor != nil }
                            #expect(preferred)
                            return answer
                        }
                    }
                    return try await group.reduce(0, +)
                }
            }
        }
    }
}

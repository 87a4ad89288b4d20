import PostgresSessions
import PostgresSessionsTesting
import Testing

/// As it is decoded, its task is cancelled.
private struct CancelsItsTask: SQLDecodable {
    init(sqlCell: SQLCell) throws { withUnsafeCurrentTask { $0?.cancel() } }
}

@Suite(.timeLimit(.minutes(30))) struct `A cancelled task` {
    /// T02.
    @Test func `cancels its statement on the server, and the connection is used again`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            for _ in 1...5 {
                let task = Task(executorPreference: testExecutor) {
                    await outcome { try await shop.engine.execute("SELECT pg_sleep(600)") }
                }
                try await eventually("it sleeps") {
                    let query: SQLQuery =
                        "SELECT count(*) FROM pg_stat_activity WHERE application_name = \(shop.name) AND wait_event = 'PgSleep'"
                    return try await shop.witness.query(query, as: Int.self).one() == 1
                }
                let start = ContinuousClock.now
                task.cancel()
                #expect(await task.value == .cancelled)
                #expect(ContinuousClock.now - start < .seconds(60), "of ten minutes")
            }
            #expect(try await shop.engine.query("SELECT 42", as: Int.self).one() == 42)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// Nothing of its own waits any more that could hear of it.
    @Test(arguments: [false, true])
    func `whose answer was there already does not have the next statement cancelled`(onOneLoan: Bool) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let slow: SQLQuery = "SELECT 42 FROM pg_sleep(0.5)"
            var answer: Int?
            if onOneLoan {
                answer = try await shop.engine.withConnection { connection in
                    nonisolated(unsafe) let handle = connection
                    let task = Task { try await handle.query("SELECT 1", as: CancelsItsTask.self).all() }
                    _ = await task.result
                    return try await handle.query(slow, as: Int.self).one()
                }
            } else {
                let task = Task { try await shop.engine.query("SELECT 1", as: CancelsItsTask.self).all() }
                _ = await task.result
                answer = try await shop.engine.query(slow, as: Int.self).one()
            }
            #expect(answer == 42)
        }
    }

    @Test func `whose opening flight loses its connection does not have it sent again`() async throws {
        try await withShop(PoolOptions(size: 2, maxOverflow: 0), behindProxy: true) { shop in
            try await fill(shop, 2)
            let before = shop.observer.lent.count
            try await shop.whileLocked {
                let task = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withTransaction { try await $0.execute(shop.lockedStatement) }
                    }
                }
                try await shop.untilWaiting()
                // What the server answers to the cancel request ends the connection.
                try shop.proxy.cut(afterBytes: 0, .toClient)
                task.cancel()
                #expect(await task.value == .cancelled)
            }
            #expect(shop.observer.lent.count == before + 1)
        }
    }

    /// T02.
    @Test func `has its transaction rolled back`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.whileLocked {
                let task = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withTransaction { session in
                            try await session.execute("INSERT INTO items VALUES (1, 'item')")
                            try await session.execute(shop.lockedStatement)
                        }
                    }
                }
                try await shop.untilWaiting()
                task.cancel()
                #expect(await task.value == .cancelled)
            }
            #expect(try await shop.itemCount() == 0)
            try await shop.engine.execute("INSERT INTO items VALUES (1, 'item')")
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `may swallow the cancellation and still cannot commit`() async throws {
        try await withShop { shop in
            try await shop.whileLocked {
                let task = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withTransaction { session in
                            try await session.execute("INSERT INTO items VALUES (1, 'item')")
                            _ = await outcome { try await session.execute(shop.lockedStatement) }
                        }
                    }
                }
                try await shop.untilWaiting()
                task.cancel()
                #expect([.cancelled, .transactionAborted].contains(await task.value))
            }
            #expect(try await shop.itemCount() == 0)
        }
    }

    /// J172.
    @Test func `leaves the queue for a connection at once`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { _ in
                let task = Task(executorPreference: testExecutor) {
                    await outcome { try await shop.engine.execute("SELECT 1") }
                }
                try await eventually("it waits") { shop.engine.statistics.waiting == 1 }
                task.cancel()
                #expect(await task.value == .cancelled)
                #expect(shop.engine.statistics.waiting == 0)
            }
            #expect(try await shop.engine.query("SELECT 42", as: Int.self).one() == 42)
            #expect(shop.engine.statistics.timeouts == 0)
        }
    }

    @Test(arguments: [false, true])
    func `that was cancelled before sends nothing`(isWarm: Bool) async throws {
        try await withShop(behindProxy: true) { shop in
            if isWarm { try await shop.engine.warmUp() }
            let (flights, connections) = try (shop.proxy.flights, shop.proxy.connections)
            let task = Task(executorPreference: testExecutor) {
                while !Task.isCancelled { await Task.yield() }
                let statement = await outcome { try await shop.engine.execute("SELECT 1") }
                let transaction = await outcome {
                    try await shop.engine.withTransaction { session in try await session.execute("SELECT 1") }
                }
                let ping = await outcome { try await shop.engine.ping() }
                return [statement, transaction, ping]
            }
            task.cancel()
            #expect(await task.value == [.cancelled, .cancelled, .cancelled])
            let flightsNow = try shop.proxy.flights
            #expect(flightsNow == flights)
            let connectionsNow = try shop.proxy.connections
            #expect(connectionsNow == connections)
        }
    }

    /// Nor is anybody asked for the rows of a COPY.
    @Test func `that was cancelled in its transaction begins no COPY in it`() async throws {
        try await withShop { shop in
            let asked = Journal<Int>()
            let task = Task(executorPreference: testExecutor) {
                try await shop.engine.withSession { session in
                    try await session.execute("SELECT 1")
                    withUnsafeCurrentTask { $0?.cancel() }
                    let rows = (1...3).lazy.map { id in
                        asked.append(id)
                        return (id, "item")
                    }
                    let copy = await outcome {
                        try await session.copyIn("items", columns: ["id", "name"], rows: rows)
                    }
                    return (copy, session.transactionStatus)
                }
            }
            let (copy, status) = try await task.value
            #expect(copy == .cancelled && status == .active)
            #expect(asked.all.isEmpty)
        }
    }

    @Test func `while it connects leaves no connection behind`() async throws {
        try await withShop(PoolOptions(size: 2, maxOverflow: 0), behindProxy: true) { shop in
            try shop.proxy.stall()
            let task = Task(executorPreference: testExecutor) {
                await outcome { try await shop.engine.execute("SELECT 1") }
            }
            try await eventually("it connects") { try shop.proxy.connections == 1 }
            task.cancel()
            #expect(await task.value == .cancelled)
            try shop.proxy.resume()
            #expect(try await shop.engine.query("SELECT 42", as: Int.self).one() == 42)
        }
    }

    /// All its statements had been answered by then.
    @Test(arguments: ["the scope's end", "commit()", "commit(with:)"])
    func `that is cancelled before its COMMIT commits nothing`(by: String) async throws {
        try await withShop { shop in
            let task = Task(executorPreference: testExecutor) {
                await outcome {
                    try await shop.engine.withTransaction { session in
                        try await session.execute("INSERT INTO items VALUES (1, 'item')")
                        withUnsafeCurrentTask { $0?.cancel() }
                        if by == "commit()" { try await session.commit() }
                        if by == "commit(with:)" { try await session.commit(with: "SELECT 1") }
                    }
                }
            }
            #expect(await task.value == .cancelled)
            let count = try await shop.itemCount()
            #expect(count == 0)
        }
    }

    @Test func `that has sent its COMMIT does not have it cancelled on the server`() async throws {
        try await withShop(behindProxy: true) { shop in
            try await shop.makeCommitsWait()
            let (task, connections) = try await shop.whileLocked {
                let task = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withTransaction { session in
                            try await session.execute("INSERT INTO items VALUES (1, 'item')")
                        }
                    }
                }
                try await shop.untilWaiting()
                let connections = try shop.proxy.connections
                task.cancel()
                return (task, connections)
            }
            #expect(await task.value == .returned)
            let count = try await shop.itemCount()
            #expect(count == 1)
            // A request to cancel would be one.
            let connectionsNow = try shop.proxy.connections
            #expect(connectionsNow == connections)
        }
    }

    /// The commit is either sent, and then its answer is awaited, or it is not. In between there is nothing.
    @Test func `that has sent its COMMIT hears how it ended`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0), behindProxy: true) { shop in
            let task = Task(executorPreference: testExecutor) {
                await outcome {
                    try await shop.engine.withTransaction { session in
                        try await session.execute("INSERT INTO items VALUES (1, 'item')")
                        try shop.proxy.stall(.toClient)
                    }
                }
            }
            try await eventually("it is committed") { try await shop.itemCount() == 1 }
            task.cancel()
            try shop.proxy.resume()
            #expect(await task.value == .returned)
        }
    }

    /// K22.
    @Test(arguments: 0..<40)
    func `in any gap of a unit of work leaks nothing and commits all or nothing`(gap: Int) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0), behindProxy: true) { shop in
            if gap % 2 == 0 { try await shop.engine.warmUp() }
            let proxy = try shop.proxy
            proxy.latency = .milliseconds(4)
            let task = Task(executorPreference: testExecutor) {
                await outcome {
                    try await shop.engine.withTransaction { session in
                        try await session.execute("INSERT INTO items VALUES (1, 'item')")
                        _ = try await session.withSavepoint { session in
                            try await session.execute("INSERT INTO items VALUES (2, 'item')")
                        }
                        try await session.execute("INSERT INTO items VALUES (3, 'item')")
                    }
                }
            }
            // The gaps are places in the conversation, told by the bytes that have passed.
            let begin = proxy.bytesToServer + proxy.bytesToClient
            try await eventually("byte \(gap * 40) has passed, or all have") {
                proxy.bytesToServer + proxy.bytesToClient - begin >= gap * 40 || shop.engine.statistics.idle == 1
            }
            task.cancel()
            let ending = await task.value
            proxy.latency = .zero
            let count = try await shop.itemCount()
            if ending == .returned {
                #expect(count == 3)
            } else {
                #expect(ending == .cancelled && count == 0, "\(ending)")
            }
            #expect(try await shop.engine.query("SELECT 42", as: Int.self).one() == 42)
            #expect(shop.engine.statistics.leased == 0)
        }
    }
}

import PostgresSessions
import PostgresSessionsTesting
import Testing

private let doubting = PoolOptions(size: 1, maxOverflow: 0, prePing: .automatic(idleLongerThan: .zero))

/// Something that an application does with an engine, without a session.
enum Use: CaseIterable {
    case execute, query, stream, raw, rawStream, rawCopyIn, rawCopyOut, rawSession

    func callAsFunction(_ engine: Engine) async throws {
        let (insert, select): (SQLQuery, SQLQuery) = ("INSERT INTO items VALUES (1, 'item')", "SELECT 1")
        switch self {
        case .execute: try await engine.execute(insert)
        case .query: _ = try await engine.query(select, as: Int.self).all()
        case .stream: for try await _ in engine.query(select, as: Int.self).stream() {}
        case .raw: try await engine.withConnection { _ = try await $0.execute(insert) }
        case .rawStream:
            try await engine.withConnection { connection in
                for try await _ in connection.query(select, as: Int.self).stream() {}
            }
        case .rawCopyIn:
            try await engine.withConnection { connection in
                _ = try await connection.copyIn("items", columns: ["id", "name"], rows: [(1, "item")])
            }
        case .rawCopyOut:
            try await engine.withConnection { connection in
                for try await _ in try await connection.copyOut(select, as: Int.self) {}
            }
        case .rawSession:
            try await engine.withConnection { connection in
                try await connection.withSession { _ = try await $0.execute(insert) }
            }
        }
    }

    /// Its opening flight can be sent again, as a session's.
    var isReplayed: Bool { self == .stream }
}

@Suite(.timeLimit(.minutes(30))) struct `A peer that fell silent while its connection was idle` {
    /// Without any timeout that the user has set.
    @Test(arguments: Use.allCases)
    func `is an error within seconds, and the next use works`(use: Use) async throws {
        try await withShop(doubting, behindProxy: true) { shop in
            try await fill(shop, 1)
            let proxy = try shop.proxy
            proxy.stall()
            let start = ContinuousClock.now
            let ending = Task(executorPreference: testExecutor) { await outcome { try await use(shop.engine) } }
            if use.isReplayed {
                try await eventually("it is given up") {
                    shop.engine.statistics.opened + shop.engine.statistics.connecting == 2
                }
                proxy.cut()
                proxy.resume()
                #expect(await ending.value == .returned)
            } else {
                #expect(await ending.value == .connectionLost)
            }
            let taken = ContinuousClock.now - start
            #expect(taken > .seconds(1) && taken < .seconds(15))
            proxy.cut()
            proxy.resume()
            try await shop.witness.execute("TRUNCATE items")
            try await use(shop.engine)
        }
    }

    /// The peer wakes up later, and does what it had been told.
    @Test func `is said to have done the statement, perhaps, which is never done twice`() async throws {
        try await withShop(doubting, behindProxy: true) { shop in
            try await fill(shop, 1)
            try shop.proxy.stall(.toClient)
            let error = try await failure { try await shop.engine.execute("INSERT INTO items VALUES (1, 'item')") }
            #expect(Outcome(error) == .connectionLost)
            #expect("\(error)".contains("no sign of life") && "\(error)".contains("may have been executed"))
            try await eventually("the server has done it") { try await shop.itemCount() == 1 }
            try shop.proxy.resume()
        }
    }

    @Test func `is no error where an engine that only reads can ask another connection`() async throws {
        try await withShop(doubting, session: SessionOptions(accessMode: .readOnly), behindProxy: true) { shop in
            try await fill(shop, 1)
            let proxy = try shop.proxy
            proxy.stall()
            let task = Task(executorPreference: testExecutor) {
                try await shop.engine.query("SELECT 7", as: Int.self).one()
            }
            try await eventually("it is given up") {
                shop.engine.statistics.opened + shop.engine.statistics.connecting == 2
            }
            proxy.cut()
            proxy.resume()
            #expect(try await task.value == 7)
        }
    }

    /// Longer than any sign of life may take.
    @Test func `is not taken for one that lives and works for long`() async throws {
        try await withShop(doubting) { shop in
            try await fill(shop, 1)
            try await shop.engine.execute("SELECT pg_sleep(5.5)")
            try await shop.engine.withConnection { _ = try await $0.execute("SELECT pg_sleep(5.5)") }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// Whatever the statement wants that somebody else holds.
    @Test func `is not taken for one whose statement waits for a table`() async throws {
        try await withShop(doubting) { shop in
            try await fill(shop, 1)
            let task = try await shop.witness.withTransaction { holder in
                try await holder.execute("LOCK TABLE items")
                let task = Task(executorPreference: testExecutor) {
                    try await shop.engine.query("SELECT count(*) FROM items", as: Int.self).one()
                }
                try await shop.untilWaiting()
                try await Task.sleep(for: .seconds(5.5))
                return task
            }
            #expect(try await task.value == 0)
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A unit of work whose peer falls silent at any byte` {
    @Test(arguments: [0, 300, 900, 1500, 2200], FaultProxy.Direction.allCases)
    func `ends soon when its task is cancelled, and says what became of it`(
        byte: Int, direction: FaultProxy.Direction
    ) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0), behindProxy: true) { shop in
            try await shop.engine.warmUp()
            let proxy = try shop.proxy
            proxy.latency = .milliseconds(2)
            func passed() -> Int { direction == .toServer ? proxy.bytesToServer : proxy.bytesToClient }
            let begin = passed()
            let endings = Journal<Outcome>()
            let task = Task(executorPreference: testExecutor) {
                endings.append(await outcome { try await everything(in: shop) })
            }
            // Where all has passed first, there is nothing to stall.
            while passed() - begin < byte, endings.all.isEmpty { await Task.yield() }
            proxy.stall(direction)
            try await Task.sleep(for: .milliseconds(50))
            let start = ContinuousClock.now
            task.cancel()
            await task.value
            #expect(ContinuousClock.now - start < .seconds(15))
            proxy.latency = .zero
            proxy.resume()
            try await eventually("the server has let go of it") {
                let query: SQLQuery = """
                    SELECT count(*) FROM pg_stat_activity WHERE application_name = \(shop.name) AND state <> 'idle'
                    """
                return try await shop.witness.query(query, as: Int.self).one() == 0
            }
            let count = try await shop.itemCount()
            switch try #require(endings.all.first) {
            case .returned: #expect(count == 3)
            case .commitOutcomeUnknown: #expect([0, 3].contains(count))
            case let ending: #expect(ending == .cancelled && count == 0)
            }
            try await shop.engine.execute("SELECT 1")
        }
    }
}

/// A transaction with a stream, both kinds of COPY, a savepoint and a timeout; three items.
private func everything(in shop: Shop) async throws {
    let many: SQLQuery = "SELECT generate_series(1, 1000)"
    try await shop.engine.withTransaction { session in
        try await session.execute("INSERT INTO items VALUES (1, 'item')")
        for try await i in session.query(many, as: Int.self).stream() where i == 200 { break }
        try await session.withSavepoint { session in
            _ = try await session.copyIn("items", columns: ["id", "name"], rows: [(2, "item")])
        }
        for try await i in try await session.copyOut(many, as: Int.self) where i == 200 { break }
        try await session.withTimeout(.seconds(60)) { session in
            _ = try await session.execute("INSERT INTO items VALUES (3, 'item')")
        }
    }
}

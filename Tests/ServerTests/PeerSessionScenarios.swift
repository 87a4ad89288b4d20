import PostgresSessions
import PostgresSessionsTesting
import Testing

// How the peers test connections in use, cancellation, streams and misuse: the scenarios G to P of the survey, by their numbers.

private let one = PoolOptions(size: 1, maxOverflow: 0)

@Suite(.timeLimit(.minutes(30))) struct `Peers' scenarios of broken connections` {
    @Test func `G109: a connection that comes back with unread rows is read empty and used again`() async throws {
        try await withShop(one) { shop in
            let many: SQLQuery = "SELECT generate_series(1, 100000)"
            for round in 1...3 {
                try await shop.engine.withSession { session in
                    for try await _ in session.query(many, as: Int.self).stream() { break }
                }
                try await shop.engine.withConnection { connection in
                    for try await _ in try await connection.copyOut(many, as: Int.self) { break }
                }
                #expect(try await shop.engine.query("SELECT \(round)", as: Int.self).one() == round)
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `G113: a row that cannot be read gives the connection home`() async throws {
        try await withShop(one) { shop in
            for _ in 1...3 {
                let ending = await outcome {
                    try await shop.engine.query("SELECT 'many'", as: Int.self).one()
                }
                #expect(ending == .decoding)
            }
            #expect(shop.engine.statistics.leased == 0 && shop.engine.statistics.opened == 1)
        }
    }

    @Test func `G114: a parameter of eight megabytes, half written when the server goes, is an error`() async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.warmUp()
            try shop.proxy.cut(afterBytes: 4_000_000, .toServer)
            let large = [UInt8](repeating: 7, count: 8_000_000)
            let ending = await outcome { try await shop.engine.execute("SELECT octet_length(\(large))") }
            #expect(ending == .connectionLost)
            let length = try await shop.engine.query("SELECT octet_length(\(large))", as: Int.self).one()
            #expect(length == large.count)
        }
    }

    @Test func `G120: hundreds of connections one after another leave the counters right`() async throws {
        try await withShop(one) { shop in
            for round in 1...300 {
                try await shop.engine.ping()
                shop.engine.invalidate()
                #expect(shop.engine.statistics.opened == round)
            }
            try await eventually("all are closed") { shop.engine.statistics.closed == 300 }
        }
    }

    @Test func `G122 G124 G125: nine tasks on three connections all hear of a black hole in time`() async throws {
        let options = PoolOptions(size: 3, maxOverflow: 0, checkoutTimeout: .seconds(2))
        let session = SessionOptions(statementTimeout: .milliseconds(300))
        try await withShop(options, session: session, behindProxy: true) { shop in
            try await fill(shop, 3)
            try shop.proxy.stall()
            let start = ContinuousClock.now
            let endings = await withTaskGroup(of: Outcome.self) { group in
                for _ in 0..<9 { group.addTask { await outcome { try await shop.engine.execute("SELECT 1") } } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(endings.allSatisfy { $0 == .statementTimedOut || $0 == .checkoutTimedOut })
            #expect(ContinuousClock.now - start < .seconds(60))
            try shop.proxy.cut()
            try shop.proxy.resume()
            try await eventually("it answers") { await outcome { try await shop.engine.ping() } == .returned }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `Peers' scenarios of cancellation` {
    @Test func `J174: one of five that run is cancelled, and four end as they would`() async throws {
        try await withShop(PoolOptions(size: 5, maxOverflow: 0)) { shop in
            let tasks = try await shop.whileLocked {
                let tasks = (0..<5).map { _ in
                    Task(executorPreference: testExecutor) {
                        await outcome { try await shop.engine.execute(shop.lockedStatement) }
                    }
                }
                try await shop.untilWaiting(5)
                tasks[2].cancel()
                #expect(await tasks[2].value == .cancelled)
                return tasks
            }
            for index in [0, 1, 3, 4] { #expect(await tasks[index].value == .returned) }
            #expect(shop.engine.statistics.opened == 5)
        }
    }

    @Test func `J176 T09: a stream that is cancelled half read leaves its connection usable`() async throws {
        try await withShop(one) { shop in
            let seen = Journal<Int>()
            let task = Task(executorPreference: testExecutor) {
                await outcome {
                    let rows = shop.engine.query(
                        "SELECT generate_series(1, 1000000) FROM pg_sleep(0)", as: Int.self)
                    for try await number in rows.stream() {
                        if number == 100 { seen.append(number) }
                        while number == 100 && !Task.isCancelled { await Task.yield() }
                    }
                }
            }
            try await eventually("it reads") { !seen.all.isEmpty }
            task.cancel()
            #expect(await task.value == .cancelled)
            #expect(try await shop.engine.query("SELECT 7", as: Int.self).one() == 7)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `J177: a statement timeout does not fire while a transaction thinks`() async throws {
        try await withShop(one, session: SessionOptions(statementTimeout: .milliseconds(200))) { shop in
            try await shop.engine.withTransaction { session in
                for _ in 1...3 {
                    try await session.execute("SELECT 1")
                    try await Task.sleep(for: .milliseconds(250))
                }
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `Peers' scenarios of pipelines and COPY` {
    @Test func `M205 M206: an error in the middle of a batch is told, and the next flight works`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                let batch: [SQLQuery] = ["SELECT 1", "SELECT 1 / 0", "INSERT INTO items VALUES (1, 'never')"]
                #expect(await outcome { try await session.execute(batch: batch) } == .server(.divisionByZero))
                try await session.rollback()
                try await session.execute(batch: ["SELECT 1", "INSERT INTO items VALUES (2, 'kept')"])
                try await session.commit()
            }
            #expect(try await shop.names() == ["kept"])
        }
    }

    @Test(
        arguments: ["COPY items TO STDOUT", "/* in */ copy items\nFROM stdin", "COPY (SELECT 1) TO STDOUT CSV"],
        [0, 16])
    func `M209: COPY as a statement is refused before it is sent`(text: String, cacheSize: Int) async throws {
        try await withShop(one, statementCacheSize: cacheSize) { shop in
            let copy = SQLQuery(unsafeRaw: text)
            let ending = await outcome { try await shop.engine.execute(copy) }
            #expect(ending == .encoding)
            let before = try await shop.backends()
            try await shop.engine.withTransaction { session in
                let error = await #expect(throws: EngineError.self) { try await session.execute(copy) }
                #expect(error.map { "\($0)".contains("copyIn") } == true)
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
            }
            #expect(try await shop.itemCount() == 1)
            #expect(try await shop.backends() == before)
        }
    }

    @Test func `M210: BEGIN that rides along is in the status, and what COMMIT refuses is its own error`() async throws
    {
        try await withShop(one) { shop in
            try await shop.witness.execute(
                "CREATE TABLE pairs (id int8 PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
            let batch: [SQLQuery] = ["INSERT INTO pairs VALUES (1)", "INSERT INTO pairs VALUES (1)"]
            try await shop.engine.withSession { session in
                for _ in 1...2 {
                    #expect(session.transactionStatus == .idle && !session.isInTransaction)
                    #expect(try await session.execute(batch: batch).map(\.rowsAffected) == [1, 1])
                    #expect(session.transactionStatus == .active && session.isInTransaction)
                    #expect(await outcome { try await session.commit() } == .server(.uniqueViolation))
                }
                try await session.execute("INSERT INTO pairs VALUES (1)")
                let last = await outcome { try await session.commit(with: "INSERT INTO pairs VALUES (1)") }
                #expect(last == .server(.uniqueViolation))
                #expect(session.transactionStatus == .idle)
            }
            #expect(try await shop.witness.query("SELECT count(*) FROM pairs", as: Int.self).one() == 0)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `N213: rows that end in an error midway leave the table as it was`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                let rows = AsyncThrowingStream<(Int, String), any Error> { stream in
                    for id in 1...100 { stream.yield((id, "item")) }
                    stream.finish(throwing: OutOfStock())
                }
                let ending = await outcome {
                    try await session.copyIn("items", columns: ["id", "name"], rows: rows)
                }
                #expect(ending == .other("\(OutOfStock())"))
                try await session.rollback()
                try await session.copyIn("items", columns: ["id", "name"], rows: [(1, "kept")])
                try await session.commit()
            }
            #expect(try await shop.names() == ["kept"])
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `N216: notices in the middle of COPY, in either direction, are no part of it`() async throws {
        try await withShop(one) { shop in
            let functions: [SQLQuery] = [
                """
                CREATE FUNCTION told(id int8) RETURNS int8 LANGUAGE plpgsql AS
                $$ BEGIN IF id % 100 = 0 THEN RAISE NOTICE 'item %', id; END IF; RETURN id; END $$
                """,
                """
                CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN NEW.id = told(NEW.id); RETURN NEW; END $$
                """,
                "CREATE TRIGGER tell BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION tell()",
            ]
            for function in functions { try await shop.witness.execute(function) }
            try await shop.engine.withTransaction { session in
                let rows = (1...1000).map { ($0, "item") }
                #expect(try await session.copyIn("items", columns: ["id", "name"], rows: rows) == 1000)
                var sum = 0
                for try await id in try await session.copyOut("SELECT told(id) FROM items", as: Int.self) { sum += id }
                #expect(sum == 500 * 1001)
            }
            #expect(try await shop.itemCount() == 1000)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `N217: COPY into nothing, of nothing or with a syntax error leaves the connection usable`() async throws
    {
        try await withShop(one) { shop in
            let missing = await outcome {
                try await shop.engine.withTransaction { try await $0.copyIn("nowhere", rows: [(1, "item")]) }
            }
            #expect(missing == .server(.undefinedTable))
            let none = try await shop.engine.withTransaction { session in
                try await session.copyIn("items", columns: ["id", "name"], rows: [(Int, String)]())
            }
            #expect(none == 0)
            let wrong = await outcome {
                try await shop.engine.withTransaction { session in
                    for try await _ in try await session.copyOut("SELECT FROM FROM", as: Int.self) {}
                }
            }
            #expect(wrong == .server(.syntaxError))
            #expect(try await shop.engine.query("SELECT 7", as: Int.self).one() == 7)
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `Peers' scenarios of notifications` {
    @Test func `O224 O225 O226: a listener whose connection ends hears of the gap, once, and goes on listening`()
        async throws
    {
        try await withShop(one) { shop in
            let heard = Journal<String>()
            let listening = Task(executorPreference: testExecutor) {
                for try await notification in shop.engine.listen(on: "orders_\(shop.number)") {
                    heard.append(notification.isGap ? "gap" : notification.payload)
                }
            }
            try await eventually("it listens") { try await shop.backends().count == 1 }
            try await eventually("it hears") {
                try await shop.witness.execute("SELECT pg_notify(\("orders_\(shop.number)"), 'before')")
                return heard.all.contains("before")
            }
            try await shop.terminateBackends()
            try await eventually("it hears again") {
                try await shop.witness.execute("SELECT pg_notify(\("orders_\(shop.number)"), 'after')")
                return heard.all.contains("after")
            }
            #expect(heard.all.count { $0 == "gap" } == 1)
            let gap = try #require(heard.all.firstIndex(of: "gap"))
            #expect(heard.all[..<gap].allSatisfy { $0 == "before" })
            #expect(heard.all[(gap + 1)...].allSatisfy { $0 == "after" })
            listening.cancel()
            _ = await listening.result
        }
    }
}

import PostgresSessions
import PostgresSessionsTesting
import Testing

private let one = PoolOptions(size: 1, maxOverflow: 0)

@Suite(.timeLimit(.minutes(30))) struct `A prepared statement` {
    /// L194.
    @Test func `whose table has changed is prepared anew, unseen`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.execute("INSERT INTO items VALUES (1, 'item')")
            for column in ["a", "b", "c"] {
                let rows = try await shop.engine.query("SELECT * FROM items").all()
                let row = try await shop.engine.withTransaction { session in
                    try await session.query("SELECT * FROM items").one()
                }
                #expect(rows.count == 1)
                #expect(row.count == rows[0].count)
                try await shop.witness.execute("ALTER TABLE items ADD COLUMN \(identifier: column) int8")
            }
            let last = try await shop.engine.query("SELECT * FROM items").one()
            #expect(last.columns == ["id", "name", "price", "a", "b", "c"])
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// L194.
    @Test func `whose table changes in mid-transaction is the server's error, and the next transaction works`()
        async throws
    {
        try await withShop(one) { shop in
            try await shop.engine.execute("INSERT INTO items VALUES (1, 'item')")
            _ = try await shop.engine.query("SELECT * FROM items").all()
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute("SELECT 1")
                    try await shop.witness.execute("ALTER TABLE items ADD COLUMN more int8")
                    return try await session.query("SELECT * FROM items").all().count
                }
            }
            // Inside a transaction nothing may be sent twice: work before it would be lost unseen.
            #expect(ending == .server(.featureNotSupported) || ending == .returned)
            let next = try await shop.engine.withTransaction { session in
                try await session.query("SELECT * FROM items").one()
            }
            #expect(next.count == 4)
        }
    }

    /// A String has no type of its own: the server gives it the column's when the statement is prepared, and keeps to that.
    @Test func `whose parameter's column has got another type is prepared anew, unseen`() async throws {
        try await withShop(one) { shop in
            let find: SQLQuery = "SELECT count(*) FROM items WHERE name = \("ok")"
            let insert: SQLQuery = "INSERT INTO items VALUES (1, \("ok"))"
            try await shop.witness.execute("CREATE TYPE mood AS ENUM ('ok')")
            for type in ["varchar", "mood", "text", "mood"] {
                try await shop.witness.execute(
                    "ALTER TABLE items ALTER COLUMN name TYPE \(unsafeRaw: type) USING name::text::\(unsafeRaw: type)")
                let alone = try await shop.engine.query(find, as: Int.self).one()
                let inTransaction = try await shop.engine.withTransaction { session in
                    let found = try await session.query(find, as: Int.self).one()
                    try await session.execute("DELETE FROM items")
                    return found
                }
                try await shop.engine.execute(insert)
                #expect(alone == inTransaction)
            }
            #expect(try await shop.itemCount() == 1)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `whose parameter's column has got another type in mid-transaction may be tried again`() async throws {
        try await withShop(one) { shop in
            let find: SQLQuery = "SELECT count(*) FROM items WHERE name = \("7")"
            _ = try await shop.engine.query(find, as: Int.self).one()
            try await shop.witness.execute("ALTER TABLE items ALTER COLUMN name TYPE int8 USING 7")
            var attempts = 0
            let found = try await shop.engine.withTransaction(retry: .onConflict(maxAttempts: 2)) { session in
                attempts += 1
                try await session.execute("INSERT INTO items VALUES (1, 7)")
                return try await session.query(find, as: Int.self).one()
            }
            #expect(found == 1)
            #expect(attempts == 2)
        }
    }

    @Test func `is not refused for ever what its column has learned to take`() async throws {
        try await withShop(one) { shop in
            try await shop.witness.execute("ALTER TABLE items ADD COLUMN code int4")
            func note(_ code: String, _ id: Int) -> SQLQuery {
                "INSERT INTO items (id, name, code) VALUES (\(id), 'item', \(code))"
            }
            try await shop.engine.execute(note("7", 1))
            try await shop.witness.execute("ALTER TABLE items ALTER COLUMN code TYPE text")
            let first = await outcome { try await shop.engine.execute(note("seven", 2)) }
            #expect(first == .returned || first == .server(.invalidTextRepresentation))
            try await shop.engine.execute(note("seven", 3))
        }
    }

    /// A schema for each tenant, each with an enum of its own: the same words mean other types from one transaction to the next.
    @Test func `whose words mean another table now and then is soon no longer kept`() async throws {
        try await withShop(one) { shop in
            for tenant in ["left", "right"] {
                try await shop.witness.execute("CREATE SCHEMA \(identifier: tenant)")
                try await shop.witness.execute("CREATE TYPE \(identifier: tenant).mood AS ENUM ('ok')")
                try await shop.witness.execute(
                    "CREATE TABLE \(identifier: tenant).moods (mood \(identifier: tenant).mood)")
            }
            var refused = 0
            for round in 0..<20 {
                let options = SessionOptions(locals: ["search_path": round % 2 == 0 ? "left" : "right"])
                let ending = await outcome {
                    try await shop.engine.withSession(options: options) { session in
                        try await session.execute("SELECT 1")
                        try await session.execute("INSERT INTO moods VALUES (\("ok"))")
                        _ = try await session.query("SELECT mood FROM moods", as: String.self).all()
                    }
                }
                if ending != .returned { refused += 1 }
            }
            #expect(refused <= 6)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `whose text is very long is said, and not kept in the server's memory`() async throws {
        try await withShop(one) { shop in
            for count in [10, 2_000] {
                for _ in 1...2 {
                    var insert: SQLQuery = "INSERT INTO items (id, name) VALUES (0, 'none')"
                    for id in 1..<count { insert = "\(insert), (\(id), \("item \(id)"))" }
                    let inserted = try await shop.engine.withTransaction { session in
                        let inserted = try await session.execute(insert).rowsAffected
                        try await session.rollback()
                        return inserted
                    }
                    #expect(inserted == count)
                }
            }
            let kept = try await shop.engine.query(
                "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT%'", as: Int.self
            ).one()
            #expect(kept == 1)
        }
    }

    @Test func `whose table has changed is found out once, and not by every connection`() async throws {
        try await withShop(PoolOptions(size: 4, maxOverflow: 0, order: .fifo)) { shop in
            try await fill(shop, 4)
            for _ in 1...4 { _ = try await shop.engine.query("SELECT * FROM items").all() }
            try await shop.witness.execute("ALTER TABLE items ADD COLUMN more int8")
            var endings: [Outcome] = []
            for _ in 1...8 {
                endings.append(
                    await outcome {
                        try await shop.engine.withTransaction { session in
                            try await session.execute("SELECT 1")
                            return try await session.query("SELECT * FROM items").all().count
                        }
                    })
            }
            #expect(endings.filter { $0 != .returned } == [.server(.featureNotSupported)])
            #expect(shop.engine.statistics.opened == 4)
        }
    }

    @Test func `whose table its own transaction has changed is prepared anew`() async throws {
        try await withShop(one) { shop in
            for column in ["a", "b"] {
                let counts = try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items SELECT count(*), 'item' FROM items")
                    let before = try await session.query("SELECT * FROM items LIMIT 1").one().count
                    try await session.execute("ALTER TABLE items ADD COLUMN \(identifier: column) int8")
                    return [before, try await session.query("SELECT * FROM items LIMIT 1").one().count]
                }
                #expect(counts[1] == counts[0] + 1)
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// L201.
    @Test(arguments: ["DISCARD ALL", "DEALLOCATE ALL"])
    func `that somebody has dropped is prepared anew, unseen`(command: String) async throws {
        try await withShop(one) { shop in
            for round in 1...3 {
                let answer = try await shop.engine.query("SELECT 42", as: Int.self).one()
                let inTransaction = try await shop.engine.withTransaction { session in
                    try await session.query("SELECT 43", as: Int.self).one()
                }
                #expect(answer == 42 && inTransaction == 43, "round \(round)")
                try await shop.engine.execute(SQLQuery(unsafeRaw: command))
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// In the same flight, where nobody has heard yet that it is gone: a batch, COMMIT, the question for the transaction's id.
    @Test(arguments: ["execute(batch:)", "pipeline", "commit(with:)"], [false, true])
    func `that is dropped in the flight in which it is said again is not missed`(how: String, tracks: Bool) async throws
    {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0), session: SessionOptions(tracksOutcome: tracks)) {
            shop in
            let drop: SQLQuery = "DEALLOCATE ALL"
            func insert(_ id: Int) -> SQLQuery { "INSERT INTO items VALUES (\(id), 'item')" }
            for id in [1, 10] {
                try await shop.engine.withSession { session in
                    try await session.execute(insert(id))
                    try await session.execute(drop)
                    switch how {
                    case "pipeline": _ = try await session.pipeline(session.query(drop), session.query(insert(id + 1)))
                    case "execute(batch:)": try await session.execute(batch: [drop, insert(id + 1), insert(id + 2)])
                    default: try await session.commit(with: drop)
                    }
                    // Nor is one that was said ahead of the second of two.
                    try await session.execute(batch: [drop, "SELECT 1", drop])
                    try await session.execute("SELECT 1")
                    try await session.commit()
                }
            }
            let count = ["pipeline": 4, "execute(batch:)": 6][how] ?? 2
            #expect(try await shop.itemCount() == count)
        }
    }

    @Test func `is not kept where the cache is off`() async throws {
        try await withShop(one, statementCacheSize: 0) { shop in
            for number in 1...3 {
                let answer = try await shop.engine.query("SELECT \(number)", as: Int.self).one()
                #expect(answer == number)
            }
            let kept = try await shop.engine.query("SELECT count(*) FROM pg_prepared_statements", as: Int.self).one()
            #expect(kept == 0)
        }
    }

    /// L202 L197.
    @Test func `makes room for others when there are too many`() async throws {
        try await withShop(one, statementCacheSize: 4) { shop in
            for number in 1...20 {
                let query: SQLQuery = "SELECT \(number) + \(unsafeRaw: "\(number)")"
                let answer = try await shop.engine.query(query, as: Int.self).one()
                #expect(answer == 2 * number)
            }
            let kept = try await shop.engine.query("SELECT count(*) FROM pg_prepared_statements", as: Int.self).one()
            #expect(kept <= 5)
        }
    }

    /// L200.
    @Test func `that made room for one that the server refuses is not lost`() async throws {
        try await withShop(one, statementCacheSize: 6) { shop in
            for number in 1...6 { try await shop.engine.execute(SQLQuery(unsafeRaw: "SELECT \(number)")) }
            let refused = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute(batch: ["SELECT 7", "SELECT nothing", "SELECT 8"])
                }
            }
            #expect(refused == .server(.undefinedColumn))
            // In mid-transaction nothing is prepared anew unseen. The latest are asked first, while they are kept.
            try await shop.engine.withTransaction { session in
                for number in [6, 8, 7, 5, 4, 3, 2, 1] {
                    let query = SQLQuery(unsafeRaw: "SELECT \(number)")
                    let answer = try await session.query(query, as: Int.self).one()
                    #expect(answer == number)
                }
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// L204.
    @Test(arguments: ["SELECT 21", "SELECT nothing"])
    func `of a batch larger than the cache is not left behind on the server`(last: String) async throws {
        try await withShop(one, statementCacheSize: 4) { shop in
            _ = await outcome {
                try await shop.engine.withTransaction { session in
                    let many = (1...20).map { SQLQuery(unsafeRaw: "SELECT \($0)") }
                    try await session.execute(batch: many + [SQLQuery(unsafeRaw: last)] + many)
                }
            }
            let kept = try await shop.engine.query("SELECT count(*) FROM pg_prepared_statements", as: Int.self).one()
            #expect(kept <= 5)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// J180.
    @Test func `of a transaction that was cancelled with the type it made does not poison the next`() async throws {
        try await withShop(one) { shop in
            let question: SQLQuery = "SELECT '7'::mood AS mood"
            try await shop.whileLocked {
                let task = Task(executorPreference: testExecutor) {
                    await outcome {
                        try await shop.engine.withTransaction { session in
                            try await session.execute("CREATE TYPE mood AS ENUM ('7')")
                            let mood = try await session.query(question, as: String.self).one()
                            #expect(mood == "7")
                            try await session.execute(shop.lockedStatement)
                        }
                    }
                }
                try await shop.untilWaiting()
                task.cancel()
                #expect(await task.value == .cancelled)
            }
            // The same words mean a number now.
            try await shop.witness.execute("CREATE DOMAIN mood AS int8")
            #expect(try await shop.engine.query(question, as: Int.self).one() == 7)
            let again = try await shop.engine.withTransaction { try await $0.query(question, as: Int.self).one() }
            #expect(again == 7)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `goes by the types of its parameters too`() async throws {
        try await withShop(one) { shop in
            for _ in 1...2 {
                let text = try await shop.engine.query("SELECT \("seven")", as: String.self).one()
                let number = try await shop.engine.query("SELECT \(7)", as: Int.self).one()
                let truth = try await shop.engine.query("SELECT \(true)", as: Bool.self).one()
                let nothing = try await shop.engine.query("SELECT \(Int?.none)", as: Int?.self).one()
                #expect(text == "seven" && number == 7 && truth && nothing == nil)
            }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A server that hangs` {
    /// Every process of the server is stopped where it stands: sockets stay open, and nothing answers.
    /// The catalogue's gap: SIGSTOP.
    @Test func `is left when the statement's time is up, and used again when it goes on`() async throws {
        try await withServer { server in
            let options = SessionOptions(statementTimeout: .seconds(2))
            try await withShop(one, session: options, server: server) { shop in
                try await shop.engine.execute("SELECT 1")
                try await server.freeze()
                let start = ContinuousClock.now
                let ending = await outcome { try await shop.engine.execute("SELECT 2") }
                #expect(ending == .statementTimedOut)
                #expect(ContinuousClock.now - start < .seconds(30))
                try await server.thaw()
                try await eventually("it answers") { await outcome { try await shop.engine.ping() } == .returned }
            }
        }
    }

    @Test func `does not keep a rollback, and the user's error comes out`() async throws {
        try await withShop(one, behindProxy: true) { shop in
            let start = ContinuousClock.now
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    try shop.proxy.stall()
                    throw OutOfStock()
                }
            }
            #expect(error as? OutOfStock == OutOfStock())
            #expect(ContinuousClock.now - start < .seconds(30))
            try shop.proxy.resume()
            try await shop.engine.execute("SELECT 1")
            #expect(try await shop.itemCount() == 0)
        }
    }
}

import PostgresSessions
import PostgresSessionsTesting
import Testing

private let one = PoolOptions(size: 1, maxOverflow: 0)

/// The rows after the first chunk take 50 ms each, so that the chunk which is under way while the first is read takes 25 s.
private let slowAllOfASudden: SQLQuery = """
    SELECT i FROM generate_series(1, 100000) AS i WHERE i <= 140 OR pg_sleep(0.05)::text IS NOT NULL
    """

/// For what waits for no row: far less than the rows would take.
private func soon<R>(_ location: SourceLocation = #_sourceLocation, _ body: () async throws -> R) async throws -> R {
    let start = ContinuousClock.now
    let result = try await body()
    let taken = ContinuousClock.now - start
    #expect(taken < .seconds(4), sourceLocation: location)
    return result
}

@Suite(.timeLimit(.minutes(30))) struct `A stream whose rows become slow, left early` {
    @Test func `lets the transaction go on soon`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withTransaction { session in
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                for id in 2...3 {
                    for try await _ in session.query(slowAllOfASudden, as: Int.self).stream() { break }
                    try await soon { _ = try await session.execute("INSERT INTO items VALUES (\(id), 'item')") }
                }
                for try await _ in session.query(slowAllOfASudden, as: Int.self).stream() { break }
                try await soon { try await session.commit() }
            }
            #expect(try await shop.itemCount() == 3)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `is rolled back soon where its reader throws`() async throws {
        try await withShop(one) { shop in
            try await soon {
                for inSavepoint in [false, true] {
                    let ending = await outcome {
                        try await shop.engine.withTransaction { session in
                            try await session.execute("INSERT INTO items VALUES (1, 'item')")
                            func read(_ session: Session) async throws {
                                for try await _ in session.query(slowAllOfASudden, as: Int.self).stream() {
                                    throw OutOfStock()
                                }
                            }
                            guard inSavepoint else { return try await read(session) }
                            try await session.withSavepoint { session in try await read(session) }
                        }
                    }
                    #expect(ending == .other("OutOfStock(id: 7)"))
                }
            }
            #expect(try await shop.itemCount() == 0)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `gives its connection back soon, whoever's it is`() async throws {
        try await withShop(one) { shop in
            for try await _ in shop.engine.query(slowAllOfASudden, as: Int.self).stream() { break }
            try await soon { _ = try await shop.engine.execute("SELECT 1") }
            try await soon {
                try await shop.engine.withConnection { connection in
                    for try await _ in connection.query(slowAllOfASudden, as: Int.self).stream() { break }
                    try await connection.execute("SELECT 1")
                    for try await _ in connection.query(slowAllOfASudden, as: Int.self).stream() { break }
                }
                try await shop.engine.execute("SELECT 1")
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `gives its connection back soon when its task is cancelled`() async throws {
        try await withShop(one) { shop in
            let read = Journal<Int>()
            let task = Task(executorPreference: testExecutor) {
                await outcome {
                    try await shop.engine.withTransaction { session in
                        for try await i in session.query(slowAllOfASudden, as: Int.self).stream() {
                            if i == 128 { read.append(i) }
                        }
                    }
                }
            }
            try await eventually("it waits for slow rows") { !read.all.isEmpty }
            task.cancel()
            try await soon {
                #expect(await task.value == .cancelled)
                _ = try await shop.engine.execute("SELECT 1")
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A stream that is left early` {
    /// The chunk that fails is under way while the first is read.
    @Test func `does not fail with rows that nobody has read`() async throws {
        try await withShop(one) { shop in
            let failing: SQLQuery = "SELECT 1 / (i - 200) FROM generate_series(1, 100000) AS i"
            try await shop.engine.withTransaction { session in
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                for try await _ in session.query(failing, as: Int.self).stream() { break }
                try await session.execute("INSERT INTO items VALUES (2, 'item')")
                let whole = await outcome { for try await _ in session.query(failing, as: Int.self).stream() {} }
                #expect(whole == .server(.divisionByZero))
                try await session.rollback()
            }
            try await shop.engine.withTransaction { session in
                try await session.execute("INSERT INTO items VALUES (3, 'item')")
                for try await _ in session.query(failing, as: Int.self).stream() { break }
            }
            #expect(try await shop.witness.query("SELECT id FROM items", as: Int.self).all() == [3])
        }
    }

    @Test func `may be opened again in a sandbox`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSandbox { engine in
                for isRead in [true, false, true, false] {
                    for try await _ in engine.query("SELECT generate_series(1, 9)", as: Int.self).stream() {
                        if !isRead { break }
                    }
                    try await engine.withConnection { connection in
                        for try await _ in connection.query("SELECT generate_series(1, 9)", as: Int.self).stream() {
                            if !isRead { break }
                        }
                    }
                }
            }
        }
    }

    @Test func `keeps what was done by the rows that were asked for and came`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.execute(
                """
                CREATE FUNCTION sell(id int) RETURNS int LANGUAGE sql AS
                    $$ INSERT INTO items VALUES (id, 'item') RETURNING id $$
                """)
            let selling: SQLQuery =
                "SELECT sell(i) FROM generate_series(1, 100000) i WHERE i <= 140 OR pg_sleep(9) IS NULL"
            for try await _ in shop.engine.query(selling, as: Int.self).stream() { break }
            try await eventually("it is committed") { try await shop.itemCount() == 128 }
            try await shop.engine.withConnection { connection in
                try await connection.execute("TRUNCATE items")
                for try await _ in connection.query(selling, as: Int.self).stream() { break }
            }
            #expect(try await shop.itemCount() == 128)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A stream on a raw connection` {
    private let cursors: SQLQuery = "SELECT count(*) FROM pg_cursors WHERE name = 'session_stream'"

    @Test(arguments: [false, true])
    func `comes in parts, and leaves the connection as it was`(isInTransaction: Bool) async throws {
        try await withShop(one) { shop in
            try await shop.engine.withConnection { connection in
                if isInTransaction {
                    try await connection.execute("BEGIN")
                    try await connection.execute("INSERT INTO items VALUES (1, 'item')")
                }
                for try await open in connection.query(cursors, as: Int.self).stream() { #expect(open == 1) }
                var sum = 0
                let many: SQLQuery = "SELECT i FROM generate_series(1, 20000) AS i"
                for try await i in connection.query(many, as: Int.self).stream() { sum += i }
                #expect(sum == 20000 * 20001 / 2)
                for try await i in connection.query(many, as: Int.self).stream() where i == 3000 { break }
                let refused = await outcome {
                    for try await _ in connection.query("SELECT 1 / (i - 9) FROM generate_series(1, 9) AS i").stream() {
                    }
                }
                #expect(refused == .server(.divisionByZero))
                if isInTransaction {
                    #expect(try await connection.query(cursors, as: Int.self).one() == 0)
                    try await connection.execute("COMMIT")
                }
                try await connection.execute("VACUUM items")
            }
            #expect(try await shop.itemCount() == (isInTransaction ? 1 : 0))
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `sees the settings of the connection's other statements, and no more`() async throws {
        let options = SessionOptions(statementTimeout: .seconds(20), locals: ["app.tenant": "7"])
        try await withShop(one, session: options) { shop in
            let query: SQLQuery =
                "SELECT coalesce(current_setting('app.tenant', true), '') || current_setting('statement_timeout')"
            try await shop.engine.withConnection { connection in
                let plain = try await connection.query(query, as: String.self).one()
                for try await streamed in connection.query(query, as: String.self).stream() {
                    #expect(streamed == plain)
                }
            }
        }
    }

    @Test func `refuses the connection that is used inside it`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withConnection { connection in
                for try await _ in connection.query("SELECT generate_series(1, 9)", as: Int.self).stream() {
                    #expect(await outcome { try await connection.execute("SELECT 1") } == .invalidState)
                    let session = await outcome { try await connection.withSession { _ in } }
                    #expect(session == .invalidState)
                }
                try await connection.withSession { session in _ = try await session.execute("SELECT 1") }
            }
        }
    }
}

/// The compiler lets rows out of the scope they were begun in, for they are no session; nobody must wait for them.
@Suite(.timeLimit(.minutes(30))) struct `Rows that are kept beyond their scope` {
    @Test func `of a stream end with it`() async throws {
        try await withShop(one) { shop in
            let many: SQLQuery = "SELECT generate_series(1, 100000)"
            nonisolated(unsafe) var kept: [RowStream<Int>.AsyncIterator] = []
            try await shop.engine.withSession { session in
                let rows = session.query(many, as: Int.self).stream().makeAsyncIterator()
                _ = try await rows.next()
                kept.append(rows)
            }
            try await shop.engine.withConnection { connection in
                let rows = connection.query(many, as: Int.self).stream().makeAsyncIterator()
                _ = try await rows.next()
                kept.append(rows)
            }
            try await shop.engine.withConnection { connection in
                try await connection.withSession { session in
                    let rows = session.query(many, as: Int.self).stream().makeAsyncIterator()
                    _ = try await rows.next()
                    kept.append(rows)
                }
                try await connection.execute("SELECT 1")
            }
            #expect(shop.engine.statistics.leased == 0)
            for rows in kept {
                let ending = await outcome { while try await rows.next() != nil {} }
                #expect(ending == .sessionClosed)
            }
        }
    }

    @Test func `of a COPY end with it, also where nobody began to read them`() async throws {
        try await withShop(one) { shop in
            let many: SQLQuery = "SELECT generate_series(1, 1000000)"
            nonisolated(unsafe) var kept: [CopyOutRows<Int>.AsyncIterator] = []
            for reads in [true, false] {
                try await shop.engine.withSession { session in
                    let rows = try await session.copyOut(many, as: Int.self).makeAsyncIterator()
                    if reads { _ = try await rows.next() }
                    kept.append(rows)
                }
                try await shop.engine.withConnection { connection in
                    let rows = try await connection.copyOut(many, as: Int.self).makeAsyncIterator()
                    if reads { _ = try await rows.next() }
                    kept.append(rows)
                }
            }
            #expect(shop.engine.statistics.leased == 0)
            for rows in kept {
                let ending = await outcome { while try await rows.next() != nil {} }
                #expect(ending == .sessionClosed)
            }
            try await shop.engine.withTransaction { session in
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                _ = try await session.copyOut(many, as: Int.self)
                _ = try await session.copyOut(many, format: .text)
                _ = try await session.copyOut(many, format: .text)
                _ = try await session.copyIn("items", columns: ["id", "name"], format: .text, bytes: [[UInt8]]())
                try await session.execute("INSERT INTO items VALUES (2, 'item')")
            }
            #expect(try await shop.itemCount() == 2)
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Testing

private struct Book: Codable, Table, Equatable, Sendable {
    static let tableName = "books"
    var id: Int
    var title: String
    var price: Double?
}

private let makeBooks: SQLQuery = "CREATE TABLE books (id int4 PRIMARY KEY, title text NOT NULL, price float8)"
private let fillBooks: SQLQuery = """
    INSERT INTO books SELECT i, 'book ' || i, CASE WHEN i % 3 = 0 THEN NULL ELSE i * 1.5 END FROM generate_series(1, 5000) i
    """

@Suite struct `The rows of a table` {
    @Test func `are written, found, changed and deleted by their key`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.withTransaction { session in
                let stored = try await session.insert(Book(id: 1, title: "Emma", price: 9.5))
                #expect(stored == Book(id: 1, title: "Emma", price: 9.5))
                let merged = try await session.upsert(Book(id: 1, title: "Emma", price: nil))
                #expect(merged.price == nil)
                #expect(try await session.update(Book(id: 1, title: "Persuasion", price: 3)).rowsAffected == 1)
                let found = try await session.get(Book.self, id: 1)
                #expect(found?.title == "Persuasion")
                #expect(try await session.query(Book.self).where("price < \(10)").count() == 1)
                #expect(try await session.query(Book.self).where("price > \(10)").exists() == false)
                #expect(try await session.query(Book.self).order(by: "id").limit(5).forUpdate().all().count == 1)
                #expect(try await session.delete(Book(id: 1, title: "", price: nil)).rowsAffected == 1)
                #expect(try await session.query(Book.self).first() == nil)
            }
        }
    }

    @Test func `come several queries at once in one round trip`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.execute(fillBooks)
            let (books, counts, pairs) = try await shop.engine.withSession { session in
                try await session.pipeline(
                    session.query(Book.self).where("id <= \(3)").order(by: "id"),
                    session.query("SELECT count(*) FROM books", as: Int.self),
                    session.query("SELECT id, title FROM books WHERE id = \(7)", as: (Int, String).self))
            }
            #expect(books.map(\.id) == [1, 2, 3])
            #expect(counts == [5000])
            #expect(pairs.first?.1 == "book 7")
        }
    }
}

@Suite struct `A stream of rows` {
    @Test func `gives every row once, and the session goes on after it`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.execute(fillBooks)
            try await shop.engine.withTransaction { session in
                var ids: [Int] = []
                for try await book in session.query(Book.self).order(by: "id").stream() { ids.append(book.id) }
                #expect(ids == Array(1...5000))
                #expect(try await session.query("SELECT count(*) FROM books", as: Int.self).one() == 5000)
            }
            #expect(shop.engine.statistics.leased == 0)
        }
    }

    /// J176.
    @Test func `that is left early leaves the transaction as it was`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.execute(fillBooks)
            try await shop.engine.withTransaction { session in
                try await session.execute("UPDATE books SET title = 'seen' WHERE id = 1")
                for round in 1...3 {
                    var seen = 0
                    for try await _ in session.query("SELECT id FROM books", as: Int.self).stream() {
                        seen += 1
                        if seen == 200 * round { break }
                    }
                    #expect(seen == 200 * round)
                }
                #expect(
                    try await session.query("SELECT title FROM books WHERE id = 1", as: String.self).one() == "seen")
            }
            #expect(
                try await shop.engine.query("SELECT title FROM books WHERE id = 1", as: String.self).one() == "seen")
        }
    }

    @Test func `refuses the session that is used inside it`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.execute(fillBooks)
            try await shop.engine.withSession { session in
                for try await _ in session.query("SELECT id FROM books", as: Int.self).stream() {
                    await #expect(throws: EngineError.self) { try await session.execute("SELECT 1") }
                    break
                }
                #expect(try await session.query("SELECT 1", as: Int.self).one() == 1)
            }
        }
    }

    @Test func `of a query that changes something gives every row too`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.execute(fillBooks)
            try await shop.engine.withTransaction { session in
                var answers: [Int] = []
                let query: SQLQuery = "WITH gone AS ( DELETE FROM books) SELECT 7"
                for try await answer in session.query(query, as: Int.self).stream() { answers.append(answer) }
                #expect(answers == [7])
                #expect(try await session.query("SELECT count(*) FROM books", as: Int.self).one() == 0)
            }
        }
    }

    @Test func `works without a session, and gives its connection back when it is left`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.execute(fillBooks)
            var sum = 0
            for try await id in shop.engine.query("SELECT id FROM books", as: Int.self).stream() { sum += id }
            #expect(sum == 5000 * 5001 / 2)
            for try await _ in shop.engine.query("SELECT id FROM books", as: Int.self).stream() { break }
            try await eventually("the connection is home") { shop.engine.statistics.leased == 0 }
        }
    }

    @Test func `without a session is committed when its last row has been read`() async throws {
        try await withShop { shop in
            try await shop.witness.execute(
                """
                CREATE FUNCTION add(id int8) RETURNS int8 LANGUAGE sql AS
                $$ INSERT INTO items VALUES (id, 'item') RETURNING id $$
                """)
            let added = shop.engine.query("SELECT add(id) FROM generate_series(1, 300) AS id", as: Int.self)
            for try await _ in added.stream() {}
            let count = try await shop.itemCount()
            #expect(count == 300)
            try await shop.witness.execute("DELETE FROM items")
            for try await _ in added.stream() { break }
            try await eventually("what was read is committed") { try await shop.itemCount() > 0 }
        }
    }
}

@Suite struct `Many rows at once` {
    @Test func `are copied in, from arrays, lazily and as they come, and converted to their columns`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.withTransaction { session in
                let columns = ["id", "title", "price"]
                let written1 = try await session.copyIn(
                    "books", columns: columns, rows: [(1, "a", 1.5), (2, "b", nil as Double?)])
                #expect(written1 == 2)
                let lazy = (3...20_000).lazy.map { ($0, "book \($0)") }
                let written2 = try await session.copyIn("books", columns: ["id", "title"], rows: lazy)
                #expect(written2 == 19_998)
                let stream = AsyncStream<(Int, String)> { continuation in
                    for id in 20_001...20_010 { continuation.yield((id, "late")) }
                    continuation.finish()
                }
                let written3 = try await session.copyIn("books", columns: ["id", "title"], rows: stream)
                #expect(written3 == 10)
                #expect(try await session.query("SELECT sum(price) FROM books", as: Double?.self).one() == 1.5)
            }
            #expect(try await shop.engine.query("SELECT count(*) FROM books", as: Int.self).one() == 20_010)
        }
    }

    @Test func `are copied into one column, from values as they come`() async throws {
        try await withShop { shop in
            try await shop.engine.execute("CREATE TABLE notes (id int8 GENERATED ALWAYS AS IDENTITY, note text)")
            let stream = AsyncStream<String> { continuation in
                for note in ["one", "two"] { continuation.yield(note) }
                continuation.finish()
            }
            let written = try await shop.engine.withConnection { connection in
                try await connection.copyIn("notes", columns: ["note"], rows: stream)
            }
            let written2 = try await shop.engine.withTransaction { session in
                try await session.copyIn("notes", columns: ["note"], rows: AsyncStream<String?> { $0.finish() })
            }
            #expect(written == 2 && written2 == 0)
            let notes = try await shop.engine.query("SELECT note FROM notes ORDER BY id", as: String.self).all()
            #expect(notes == ["one", "two"])
        }
    }

    /// N213 N214.
    @Test func `are copied into all columns but those that are generated`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(
                "CREATE TABLE sums (a int4, b int4 GENERATED ALWAYS AS (a * 2) STORED, c text)")
            let written = try await shop.engine.withTransaction { session in
                try await session.copyIn("sums", rows: [(1, "one"), (2, "two")])
            }
            let sums = try await shop.engine.query("SELECT b FROM sums ORDER BY a", as: Int.self).all()
            #expect(written == 2 && sums == [2, 4])
        }
    }

    @Test func `are copied in not at all where one of them does not fit`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.withSession { session in
                await #expect(throws: EngineError.self) {
                    try await session.copyIn("books", columns: ["id", "title"], rows: [(1, "a"), (1 << 40, "b")])
                }
                try await session.rollback()
                await #expect(throws: ServerError.self) {
                    try await session.copyIn("books", columns: ["id", "title"], rows: [(1, "a"), (1, "b")])
                }
                try await session.rollback()
                #expect(try await session.query("SELECT count(*) FROM books", as: Int.self).one() == 0)
            }
        }
    }

    /// N218.
    @Test func `are copied out, to the end or not`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.execute(fillBooks)
            try await shop.engine.withTransaction { session in
                try await session.execute("UPDATE books SET title = 'kept' WHERE id = 1")
                var sum = 0
                for try await book in try await session.copyOut("SELECT * FROM books", as: Book.self) { sum += book.id }
                #expect(sum == 5000 * 5001 / 2)
                for try await (id, _) in try await session.copyOut(
                    "SELECT id, title FROM books ORDER BY id", as: (Int, String).self)
                {
                    if id == 10 { break }
                }
                #expect(
                    try await session.query("SELECT title FROM books WHERE id = 1", as: String.self).one() == "kept")
            }
            try await shop.engine.withConnection { connection in
                let written4 = try await connection.copyIn("books", columns: ["id", "title"], rows: [(9001, "raw")])
                #expect(written4 == 1)
                for try await id in try await connection.copyOut("SELECT id FROM books", as: Int.self) where id > 10 {
                    break
                }
                #expect(try await connection.query("SELECT 1", as: Int.self).one() == 1)
            }
            #expect(shop.engine.statistics.leased == 0)
        }
    }
}

@Suite struct `Beside the pool` {
    /// O222.
    @Test func `notifications come as they are sent`() async throws {
        try await withShop { shop in
            let engine = shop.engine
            let listening = Task(executorPreference: testExecutor) {
                var payloads: [String] = []
                for try await notification in engine.listen(on: "orders") {
                    payloads.append(notification.payload)
                    if payloads.count == 2 { break }
                }
                return payloads
            }
            try await eventually("somebody listens") {
                try await engine.query(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()",
                    as: Int.self
                ).one() > 0
            }
            try await engine.execute("NOTIFY orders, 'one'")
            try await engine.execute("SELECT pg_notify('orders', 'two')")
            #expect(try await listening.value == ["one", "two"])
        }
    }

    @Test(
        arguments: [
            "COMMIT", "/* all */ end", "COMMIT AND CHAIN", "ROLLBACK", "abort", "ROLLBACK WORK",
            "PREPARE TRANSACTION 'a'",
        ],
        [0, 256])
    func `a sandbox is not ended by a statement's text`(text: String, statementCacheSize: Int) async throws {
        try await withShop(statementCacheSize: statementCacheSize) { shop in
            let end = SQLQuery(unsafeRaw: text)
            try await shop.engine.withSandbox { engine in
                try await engine.withSession { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    await #expect(throws: EngineError.self) { try await session.execute(end) }
                    try await session.execute("SAVEPOINT mark")
                    try await session.execute("ROLLBACK WORK TO SAVEPOINT mark")
                    try await session.commit()
                }
                await #expect(throws: EngineError.self) { try await engine.execute(end) }
                try await engine.withConnection { connection in
                    await #expect(throws: EngineError.self) { try await connection.execute(end) }
                }
                #expect(try await engine.query("SELECT count(*) FROM items", as: Int.self).one() == 1)
            }
            #expect(try await shop.itemCount() == 0)
        }
    }

    @Test func `a sandbox keeps nothing of what it commits`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(makeBooks)
            try await shop.engine.withSandbox { engine in
                try await engine.withTransaction { session in
                    try await session.execute("INSERT INTO books VALUES (1, 'a', NULL)")
                }
                try await engine.execute("INSERT INTO books VALUES (2, 'b', NULL)")
                await #expect(throws: ServerError.self) {
                    try await engine.execute("INSERT INTO books VALUES (2, 'b', NULL)")
                }
                await #expect(throws: CancellationError.self) {
                    try await engine.withTransaction { session in
                        try await session.execute("INSERT INTO books VALUES (3, 'c', NULL)")
                        throw CancellationError()
                    }
                }
                #expect(try await engine.query("SELECT count(*) FROM books", as: Int.self).one() == 2)
            }
            #expect(try await shop.engine.query("SELECT count(*) FROM books", as: Int.self).one() == 0)
        }
    }

    @Test func `a scope with a timeout ends its statement on the server, and the next one is free of it`() async throws
    {
        try await withShop { shop in
            let clock = ContinuousClock()
            let began = clock.now
            await #expect(throws: EngineError.self) {
                try await shop.engine.withTransaction { session in
                    try await session.withTimeout(.milliseconds(200)) { session in
                        try await session.execute("SELECT pg_sleep(20)")
                    }
                }
            }
            #expect(clock.now - began < .seconds(10))
            try await shop.engine.withTransaction { session in
                try await session.withTimeout(.seconds(5)) { session in try await session.execute("SELECT 1") }
                let left = try await session.query("SHOW statement_timeout", as: String.self).one()
                #expect(left == "0")
            }
        }
    }

    @Test func `an advisory lock is held until the transaction ends`() async throws {
        try await withShop { shop in
            let engine = shop.engine
            let key = Int64.random(in: 1 ... .max)
            try await engine.withTransaction { session in
                try await session.withAdvisoryLock(key) { session in
                    try await session.execute("SELECT 1")
                    let isFree = try await engine.query("SELECT pg_try_advisory_xact_lock(\(key))", as: Bool.self).one()
                    #expect(!isFree)
                }
            }
            #expect(try await engine.query("SELECT pg_try_advisory_xact_lock(\(key))", as: Bool.self).one())
        }
    }
}

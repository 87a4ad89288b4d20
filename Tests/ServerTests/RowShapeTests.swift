import PostgresSessions
import PostgresSessionsTesting
import Testing

/// A legacy table, whose columns have prefixes.
private struct Customer: Codable, Equatable, Table {
    static let tableName = "customers"
    static let primaryKey = ["cust_id"]
    static func columnName(forKey key: String) -> String { "cust_" + key }

    var id: Int
    var name: String
}

private enum Mood: String, Codable { case happy, sad }
private struct Stop: Codable, Equatable {
    var street: String
    var number: Int?
}
/// None of its types has a codec of its own.
private struct Route: Decodable, Equatable {
    var stops: [Stop]
    var moods: [Mood?]
    var tags: Set<String>
}

@Suite(.timeLimit(.minutes(30))) struct `A row of a table` {
    @Test func `comes back by the names that its type gives the columns`() async throws {
        try await withShop { shop in
            try await shop.engine.execute("CREATE TABLE customers (cust_id int4 PRIMARY KEY, cust_name text)")
            try await shop.engine.withTransaction { session in
                let customer = Customer(id: 1, name: "Ada")
                let stored = try await session.insert(customer)
                let found = try await session.get(Customer.self, id: 1)
                let other = try await session.query("SELECT * FROM customers", as: Customer.self).one()
                #expect(stored == customer && found == customer && other == customer)
            }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A table without a session` {
    @Test func `is read by the engine, a statement at a time, and by a raw connection`() async throws {
        try await withShop { shop in
            try await shop.witness.execute("INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 9) i")
            let engine = shop.engine
            let late = try await engine.query(ShopItem.self).where("id > \(3)").order(by: "id DESC").limit(2).all()
            #expect(late.map(\.id) == [9, 8])
            #expect(try await engine.query(ShopItem.self).count() == 9)
            #expect(try await engine.query(ShopItem.self).where("id = \(10)").exists() == false)
            #expect(try await engine.get(ShopItem.self, id: 7) == ShopItem(id: 7, name: "item 7"))
            #expect(try await engine.get(ShopItem.self, id: 10) == nil)
            var streamed = 0
            for try await item in engine.query(ShopItem.self).order(by: "id").stream() { streamed += item.id }
            #expect(streamed == 45)
            try await engine.withConnection { connection in
                let first = try await connection.query(ShopItem.self).order(by: "id").first()
                let seventh = try await connection.get(ShopItem.self, id: 7)
                #expect(first?.id == 1 && seventh?.id == 7)
            }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A statement without RETURNING` {
    private func expectRemedy<R>(_ body: () async throws -> R) async throws {
        let error = try await failure { try await body() }
        #expect(Outcome(error) == .decoding && "\(error)".contains("RETURNING"), "\(error)")
    }

    /// Rows of one shape, by each way to ask for them.
    private func expectRemedies<T>(_ query: RowQuery<T>) async throws {
        try await expectRemedy { _ = try await query.all() }
        try await expectRemedy { _ = try await query.first() }
        try await expectRemedy { _ = try await query.one() }
        try await expectRemedy { _ = try await query.oneOrNil() }
        try await expectRemedy { for try await _ in query.stream() {} }
    }

    @Test(arguments: [
        "INSERT INTO items SELECT count(*), 'item' FROM items", "UPDATE items SET name = 'thing'", "DELETE FROM items",
    ])
    func `has no rows to give, whatever they shall become`(text: String) async throws {
        try await withShop { shop in
            let changing = SQLQuery(unsafeRaw: text)
            try await expectRemedies(shop.engine.query(changing, as: ShopItem.self))
            try await expectRemedies(shop.engine.query(changing, as: Mood.self))
            try await expectRemedies(shop.engine.query(changing, as: Int.self))
            try await expectRemedies(shop.engine.query(changing, as: (Int, String).self))
        }
    }

    @Test func `is told from one that finds nothing`() async throws {
        try await withShop { shop in
            let nothing: SQLQuery = "SELECT id, name FROM items"
            #expect(try await shop.engine.query(nothing, as: ShopItem.self).all().isEmpty)
            #expect(try await shop.engine.query(nothing, as: ShopItem.self).first() == nil)
            for try await _ in shop.engine.query(nothing, as: ShopItem.self).stream() { Issue.record("a row") }
            let returning: SQLQuery = "UPDATE items SET name = 'thing' RETURNING id, name"
            #expect(try await shop.engine.query(returning, as: ShopItem.self).all().isEmpty)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `An array` {
    private func withRoutes(_ body: (Session) async throws -> Void) async throws {
        try await withShop { shop in
            try await shop.witness.execute("CREATE TYPE mood AS ENUM ('happy', 'sad')")
            try await shop.witness.execute("CREATE TYPE stop AS (street text, number int4)")
            try await shop.engine.withTransaction { session in try await body(session) }
        }
    }

    @Test func `of composites, enums or texts comes as values that are Decodable and no more`() async throws {
        try await withRoutes { session in
            let route = try await session.query(
                """
                SELECT ARRAY[ROW('a', 1)::stop, ROW('b', NULL)::stop] AS stops, '{happy,NULL,sad}'::mood[] AS moods,
                    '{x,y,x}'::text[] AS tags
                """, as: Route.self
            ).one()
            #expect(route.stops == [Stop(street: "a", number: 1), Stop(street: "b", number: nil)])
            #expect(route.moods == [.happy, nil, .sad] && route.tags == ["x", "y"])
        }
    }

    @Test func `names the element that does not fit`() async throws {
        try await withRoutes { session in
            let error = try await failure {
                try await session.query(
                    "SELECT '{}'::stop[] AS stops, '{happy,grim}'::text[] AS moods, '{}'::text[] AS tags",
                    as: Route.self
                ).one()
            }
            #expect(Outcome(error) == .decoding)
            for part in ["\"moods\"", "row 0", "element 1"] { #expect("\(error)".contains(part), "\(error)") }
        }
    }

    @Test(arguments: ["'[0:1]={a,b}'::text[]", "'[1:2][-1:0]={{1,2},{3,NULL}}'::int4[]", "'{}'::int4[]"])
    func `shows in its text where its indices begin`(array: String) async throws {
        try await withShop { shop in
            let (ours, servers) = try await shop.engine.query(
                "SELECT \(unsafeRaw: array), (\(unsafeRaw: array))::text", as: (String, String).self
            ).one()
            #expect(ours == servers)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A statement that is streamed` {
    /// Each counts the cursors that are open while it runs.
    @Test(arguments: [
        "-- name: Cursors\nSELECT count(*) FROM pg_cursors WHERE name = 'session_stream'",
        "/* a /* b */ */ (SELECT count(*) FROM pg_cursors WHERE name = 'session_stream')",
        "SELECT count(*) FROM pg_cursors WHERE name = 'session_stream' AND 'put into boxes, returning soon' <> ''",
        "WITH c AS (SELECT * FROM pg_cursors WHERE name = 'session_stream') SELECT count(*) FROM c",
    ])
    func `comes in parts, whatever it says besides`(text: String) async throws {
        try await withShop { shop in
            for try await cursors in shop.engine.query(SQLQuery(unsafeRaw: text), as: Int.self).stream() {
                #expect(cursors == 1)
            }
        }
    }

    @Test func `has done what it does besides when its last row has been read`() async throws {
        try await withShop { shop in
            try await shop.engine.execute(
                """
                CREATE FUNCTION sell(id int) RETURNS int LANGUAGE sql AS
                    $$ INSERT INTO items VALUES (id, 'item') RETURNING id $$
                """)
            let selling: SQLQuery = "SELECT sell(i) FROM generate_series(1, 200) i"
            for try await _ in shop.engine.query(selling, as: Int.self).stream() {}
            #expect(try await shop.itemCount() == 200)
            let again = await outcome {
                for try await _ in shop.engine.query("SELECT sell(7)", as: Int.self).stream() {}
            }
            #expect(again == .server(.uniqueViolation))
        }
    }

    @Test func `comes whole where it changes something`() async throws {
        try await withShop { shop in
            let changing: SQLQuery = """
                WITH new AS (INSERT INTO items VALUES (1, 'item') RETURNING id) SELECT id FROM new
                """
            for try await id in shop.engine.query(changing, as: Int.self).stream() { #expect(id == 1) }
            let returning: SQLQuery = "INSERT INTO items VALUES (2, 'item') RETURNING id"
            for try await id in shop.engine.query(returning, as: Int.self).stream() { #expect(id == 2) }
            #expect(try await shop.itemCount() == 2)
        }
    }
}

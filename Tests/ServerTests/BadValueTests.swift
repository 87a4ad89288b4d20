import PostgresSessions
import PostgresSessionsTesting
import Testing

/// The attempt ends as it should, and the very same connection serves the next statement.
private func refuses<R>(
    _ expected: Outcome, naming names: [String], sourceLocation: SourceLocation = #_sourceLocation,
    _ body: (Shop) async throws -> R
) async throws {
    try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
        let before = try await shop.engine.query("SELECT pg_backend_pid()", as: Int.self).one()
        let error = try await failure { try await body(shop) }
        #expect(Outcome(error) == expected, sourceLocation: sourceLocation)
        for name in names { #expect("\(error)".contains(name), "\(error)", sourceLocation: sourceLocation) }
        let after = try await shop.engine.query("SELECT pg_backend_pid()", as: Int.self).one()
        #expect(after == before, sourceLocation: sourceLocation)
        #expect(shop.engine.statistics.opened == 1, sourceLocation: sourceLocation)
    }
}

/// Bytes that are bound as a text, whatever they are.
private struct RawText: SQLEncodable {
    var bytes: [UInt8]
    static var sqlType: SQLType { .text }
    func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bytes) }
}

/// So many bytes, which are nowhere but in the parameter.
private struct Bulk: SQLEncodable {
    var count: Int
    static var sqlType: SQLType { .bytea }
    func encode(into buffer: inout SQLEncodingBuffer) throws {
        let piece = [UInt8](repeating: 7, count: min(count, 1 << 24))
        for _ in 0..<count / piece.count { buffer.append(piece) }
        buffer.append(piece.prefix(count % piece.count))
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A value that does not fit` {
    @Test func `its column is refused by the server, which names the type`() async throws {
        try await refuses(.server(.numericValueOutOfRange), naming: ["smallint"]) { shop in
            try await shop.engine.execute("SELECT (\(70_000))::int8::int2")
        }
    }

    @Test func `a column of another type is refused by the server, which names the column`() async throws {
        try await refuses(.server(.datatypeMismatch), naming: ["price", "INSERT INTO items"]) { shop in
            try await shop.engine.execute("INSERT INTO items VALUES (1, 'item', \(true))")
        }
    }

    @Test func `as NULL into a type that has none names column and type`() async throws {
        try await refuses(.decoding, naming: ["price_of_it", "Double"]) { shop in
            try await shop.engine.query("SELECT NULL::float8 AS price_of_it", as: Double.self).one()
        }
    }

    @Test func `as NULL into a property that has none names the column`() async throws {
        struct Item: Decodable { var id: Int, name: String }
        try await refuses(.decoding, naming: ["name", "String"]) { shop in
            try await shop.engine.query("SELECT 1 AS id, NULL::text AS name", as: Item.self).all()
        }
    }

    @Test func `for its integer type names the column and the type`() async throws {
        try await refuses(.decoding, naming: ["big", "Int16"]) { shop in
            try await shop.engine.query("SELECT 70000 AS big", as: Int16.self).one()
        }
    }

    @Test func `for its kind of type names both`() async throws {
        try await refuses(.decoding, naming: ["word", "text", "Int"]) { shop in
            try await shop.engine.query("SELECT 'x'::text AS word", as: Int.self).one()
        }
    }

    @Test func `a tuple of another length is told`() async throws {
        try await refuses(.decoding, naming: ["2", "3"]) { shop in
            try await shop.engine.query("SELECT 1, 2", as: (Int, Int, Int).self).all()
        }
    }

    @Test func `a struct whose column is missing is told`() async throws {
        struct Item: Decodable { var id: Int, nickname: String }
        try await refuses(.decoding, naming: ["nickname"]) { shop in
            try await shop.engine.query("SELECT 1 AS id", as: Item.self).all()
        }
    }

    @Test func `text with a NUL is refused before anything is sent`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0), behindProxy: true) { shop in
            let refused = await outcome { try await shop.engine.execute("SELECT \("a\0b")") }
            #expect(refused == .encoding)
            let connections = try shop.proxy.connections
            #expect(connections == 0)
        }
    }

    @Test(arguments: [("SELECT 1 WHERE false", 0), ("SELECT * FROM generate_series(1, 3)", 3)])
    func `one row is told how many there were`(text: String, rows: Int) async throws {
        try await refuses(.unexpectedRowCount, naming: ["\(rows)", text]) { shop in
            try await shop.engine.query(SQLQuery(unsafeRaw: text), as: Int.self).one()
        }
    }

    @Test func `is an error in a transaction that goes on`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                let decoding = await outcome { try await session.query("SELECT NULL::int8", as: Int.self).one() }
                #expect(decoding == .decoding)
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
            }
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test func `text with a NUL names its parameter`() async throws {
        try await refuses(.encoding, naming: ["$2", "String", "NUL"]) { shop in
            try await shop.engine.execute("SELECT \(1), \("a\0b")")
        }
    }

    @Test func `one parameter more than the protocol counts names the limit`() async throws {
        let many = (0..<65_536).map { "\($0)" as SQLQuery }
        try await refuses(.encoding, naming: ["65535"]) { shop in
            try await shop.engine.execute("SELECT \(many.joined(separator: ","))")
        }
    }

    @Test func `text that is not UTF-8 is refused by the server, which names the bytes`() async throws {
        try await refuses(.server("22021"), naming: ["UTF8", "0xff"]) { shop in
            try await shop.engine.execute("SELECT \(RawText(bytes: [0x61, 0xFF]))")
        }
    }

    @Test func `a number that overflows in the server names its type`() async throws {
        try await refuses(.server(.numericValueOutOfRange), naming: ["bigint"]) { shop in
            try await shop.engine.execute("SELECT \(Int.max) + 1::int8")
        }
    }
}

private let gigabyte = 1 << 30

/// One after the other, for the memory they take.
@Suite(.timeLimit(.minutes(30)), .serialized) struct `A gigabyte` {
    @Test func `that the server is to make is refused by it`() async throws {
        try await refuses(.server("54000"), naming: ["too large"]) { shop in
            try await shop.engine.query("SELECT repeat('x', 1 << 30)", as: String.self).one()
        }
    }

    @Test func `in one parameter is refused before it is sent`() async throws {
        try await refuses(.encoding, naming: ["$1", "Bulk", "1 GiB"]) { shop in
            try await shop.engine.execute("SELECT octet_length(\(Bulk(count: gigabyte - 1)))")
        }
    }

    @Test func `in two parameters is refused before it is sent`() async throws {
        let half = Bulk(count: gigabyte / 2)
        try await refuses(.encoding, naming: ["$2", "Bulk", "1 GiB"]) { shop in
            try await shop.engine.execute("SELECT octet_length(\(half)), octet_length(\(half))")
        }
    }

    @Test func `in a row that is copied names row and column`() async throws {
        try await refuses(.encoding, naming: ["row 2", "\"data\"", "1 GiB"]) { shop in
            try await shop.witness.execute("CREATE TABLE bulk (id int4, data bytea)")
            return try await shop.engine.withTransaction { session in
                try await session.copyIn("bulk", rows: [(1, Bulk(count: 1)), (2, Bulk(count: gigabyte))])
            }
        }
    }

    /// The largest that is sent, where there is time for it.
    @Test func `less what a message holds besides is sent`() async throws {
        let count = isFullSize ? gigabyte - (1 << 20) - 64 : 1 << 26
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let length = try await shop.engine.query("SELECT octet_length(\(Bulk(count: count)))", as: Int.self).one()
            #expect(length == count)
        }
    }
}

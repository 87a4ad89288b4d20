import PostgresSessions
import PostgresSessionsTesting
import Testing

private enum Mood: String, Codable, SQLEncodable, SQLDecodable { case happy, sad }
private struct Stop: Codable, Equatable, SQLDecodable {
    var street: String
    var number: Int?
}
private struct Parcel: Codable, Equatable, SQLDecodable {
    var label: String
    var weights: [Int]
    var mood: Mood
    var moods: [Mood?]
    var home: Stop
    var stops: [Stop?]
    var marks: [Int]?
}

private typealias Columns = (String, [Int], Mood, [Mood?], Stop, [Stop?], [Int]?)
extension Parcel {
    fileprivate init(_ columns: Columns) {
        (label, weights, mood, moods, home, stops, marks) = columns
    }
}

/// A table of everything that holds something else.
private func withParcels(_ body: (Session) async throws -> Void) async throws {
    try await withShop { shop in
        let statements: [SQLQuery] = [
            "CREATE TYPE mood AS ENUM ('happy', 'sad')", "CREATE TYPE stop AS (street text, number int4)",
            "CREATE DOMAIN posint AS int4 CHECK (VALUE > 0)",
            "CREATE DOMAIN ints AS int4[] CHECK (cardinality(VALUE) < 5)",
            "CREATE DOMAIN word AS text CHECK (VALUE <> '')", "CREATE DOMAIN depot AS stop CHECK ((VALUE).number > 0)",
            """
            CREATE TABLE parcels (label word, weights int4[], mood mood, moods mood[], home depot, stops stop[], marks ints)
            """,
            "CREATE TABLE domains (one posint, many posint[], list ints, lists ints[], words word[])",
        ]
        for statement in statements { try await shop.witness.execute(statement) }
        try await shop.engine.withTransaction { session in try await body(session) }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `What is made of other types` {
    private let parcel = Parcel(
        label: "a \"b\"", weights: [1, -2], mood: .sad, moods: [.happy, nil], home: Stop(street: "x,y", number: 3),
        stops: [Stop(street: "", number: nil), nil], marks: [7])

    private func insert(_ parcel: Parcel, _ session: Session) async throws {
        try await session.execute(
            """
            INSERT INTO parcels VALUES (\(parcel.label), \(parcel.weights), \(parcel.mood.rawValue),
                \(parcel.moods), ROW(\(parcel.home.street), \(parcel.home.number))::stop,
                ARRAY[ROW('', NULL)::stop, NULL], \(parcel.marks))
            """)
    }

    @Test func `comes back as it went, column by column`() async throws {
        try await withParcels { session in
            try await insert(parcel, session)
            let back = try await session.query("SELECT * FROM parcels", as: Columns.self).one()
            #expect(Parcel(back) == parcel)
            for try await copied in try await session.copyOut("SELECT * FROM parcels", as: Columns.self) {
                #expect(Parcel(copied) == parcel)
            }
        }
    }

    @Test func `comes back as one composite, alone and in an array`() async throws {
        try await withParcels { session in
            try await insert(parcel, session)
            let row = try await session.query("SELECT p FROM parcels p", as: Parcel.self).one()
            #expect(row == parcel)
            let rows = try await session.query("SELECT array_agg(p) FROM parcels p", as: [Parcel].self).one()
            #expect(rows == [parcel])
            let texts = try await session.query("SELECT p, p::text FROM parcels p", as: (String, String).self).one()
            #expect(texts.0 == texts.1)
        }
    }

    @Test func `comes back from a domain, and from a domain over an array`() async throws {
        try await withParcels { session in
            try await session.execute(
                "INSERT INTO domains (one, list, words) VALUES (\(7), \([1, 2] as [Int32]), \(["a", "b"]))")
            let written = try await session.copyIn(
                "domains", columns: ["one", "list", "words"], rows: [(8, [3] as [Int32], ["c"]), (9, [], [])])
            #expect(written == 2)
            let rows = try await session.query(
                "SELECT one, list, words FROM domains ORDER BY one", as: (Int, [Int], [String]).self
            ).all()
            #expect(rows.map(\.0) == [7, 8, 9] && rows.map(\.1) == [[1, 2], [3], []])
            #expect(rows.map(\.2) == [["a", "b"], ["c"], []])
        }
    }

    @Test func `comes back from an array of domains over arrays`() async throws {
        try await withParcels { session in
            try await session.execute("INSERT INTO domains (lists) VALUES (ARRAY[\([1, 2])::ints, \([3])::ints])")
            let lists = try await session.query("SELECT lists FROM domains", as: [[Int]].self).one()
            #expect(lists == [[1, 2], [3]])
        }
    }

    @Test func `comes back from an array of domains`() async throws {
        try await withParcels { session in
            try await session.execute(
                "INSERT INTO domains (many) VALUES (\([1, -1 + 3, Int.max >> 40, nil] as [Int?]))")
            let many = try await session.query("SELECT many FROM domains", as: [Int?].self).one()
            #expect(many == [1, 2, Int.max >> 40, nil])
            // The bytes of this one are digits.
            try await session.execute("UPDATE domains SET many = ARRAY[825373492]")
            let digits = try await session.query("SELECT many, many FROM domains", as: ([Int?], String).self).one()
            #expect(digits == ([825_373_492], "{825373492}"))
        }
    }

    @Test(arguments: [("one", "0"), ("many", "ARRAY[1, 0]"), ("list", "ARRAY[1, 2, 3, 4, 5]"), ("words", "ARRAY['']")])
    func `is refused by its domain, which is named`(column: String, value: String) async throws {
        try await withParcels { session in
            let error = try await failure {
                try await session.withSavepoint { session in
                    try await session.execute(
                        "INSERT INTO domains (\(identifier: column)) VALUES (\(unsafeRaw: value))")
                }
            }
            #expect(Outcome(error) == .server(.checkViolation))
            #expect((error as? ServerError)?.constraint?.hasSuffix("_check") == true)
        }
    }
}

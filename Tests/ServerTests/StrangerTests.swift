import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Synchronization
import Testing

private enum Mood: String, Codable { case happy, sad }

private struct Link: Codable, Equatable, Table {
    static let tableName = "links"
    var id: Int?
    var target: URL
    var mirrors: [URL]
    var fallback: URL?
}

/// By hand, part for part.
private struct Parts: Decodable {
    var numbers: [Int] = []
    var x = 0

    private enum Key: CodingKey { case numbers, point }
    private enum Field: CodingKey { case x }

    init(from decoder: any Decoder) throws {
        let row = try decoder.container(keyedBy: Key.self)
        var elements = try row.nestedUnkeyedContainer(forKey: .numbers)
        while !elements.isAtEnd { numbers.append(try elements.decode(Int.self)) }
        x = try row.nestedContainer(keyedBy: Field.self, forKey: .point).decode(Int.self, forKey: .x)
    }
}

/// What somebody meets in the first week who has read no more than the README.
@Suite(.timeLimit(.minutes(30))) struct `A stranger` {
    @Test func `finds an enum's rows by the enum`() async throws {
        try await withShop { shop in
            try await shop.witness.execute("CREATE TYPE mood AS ENUM ('happy', 'sad')")
            let found: SQLQuery = "SELECT \(Mood.sad)::mood = 'sad' AND \(Mood?.none)::mood IS NULL"
            #expect(try await shop.engine.query(found, as: Bool.self).one())
        }
    }

    @Test func `keeps URLs as text`() async throws {
        try await withShop { shop in
            try await shop.witness.execute(
                "CREATE TABLE links (id int8 GENERATED ALWAYS AS IDENTITY, target text, mirrors text[], fallback text)")
            let target = try #require(URL(string: "https://example.org/a?b=c#d"))
            try await shop.engine.withTransaction { session in
                let stored = try await session.insert(Link(target: target, mirrors: [target], fallback: nil))
                #expect(stored == Link(id: 1, target: target, mirrors: [target], fallback: nil))
            }
            #expect(try await shop.engine.query("SELECT target FROM links", as: URL.self).one() == target)
        }
    }

    @Test func `decodes arrays and composites part for part`() async throws {
        try await withShop { shop in
            try await shop.witness.execute("CREATE TYPE spot AS (x int4, y int4)")
            let query: SQLQuery = "SELECT ARRAY[i, 2] AS numbers, ROW(i, 4)::spot AS point FROM generate_series(1, 3) i"
            let rows = try await shop.engine.query(query, as: Parts.self).all()
            #expect(rows.map(\.numbers) == [[1, 2], [2, 2], [3, 2]] && rows.map(\.x) == [1, 2, 3])
        }
    }

    @Test func `takes the arrays of a single column as rows`() async throws {
        try await withShop { shop in
            let moods = try await shop.engine.query("SELECT '{happy,sad}'::text[]", as: [Mood].self).all()
            let tags = try await shop.engine.query("SELECT '[1, 2, 1]'::jsonb", as: Set<Int>.self).one()
            #expect(moods == [[.happy, .sad]] && tags == [1, 2])
        }
    }

    /// The compiler takes a pack's tuple for a scalar there.
    @Test func `takes an element of a pair or a triple as an optional or anything`() async throws {
        try await withShop { shop in
            let name = try await shop.engine.query("SELECT 1, 'cup'", as: (Int, String).self).all().first?.1
            let last: Any = try await shop.engine.query("SELECT 1, 'cup', 2.5", as: (Int, String, Double).self).one().2
            #expect(name == "cup" && last as? Double == 2.5)
        }
    }

    @Test func `is told how to bind for an integer`() async throws {
        try await withShop { shop in
            let error = await #expect(throws: ServerError.self) {
                try await shop.engine.execute("SELECT make_interval(days => \(2))")
            }
            #expect(error?.hint?.contains("Int32") == true)
        }
    }

    @Test func `who writes two statements into one text is told where several go`() async throws {
        try await withShop { shop in
            let error = try await failure { try await shop.engine.execute("SELECT 1; SELECT 2") }
            #expect((error as? ServerError)?.hint?.contains("execute(batch:)") == true)
        }
    }

    @Test func `listens on several channels over one connection`() async throws {
        try await withShop { shop in
            let channels = (0..<50).map { "channel \($0) of \(shop.number)" }
            var silent = Set(channels)
            for try await notification in shop.engine.listen(on: channels, startsWithGap: true) {
                if notification.isGap {
                    silent.remove(notification.channel)
                    guard silent.isEmpty else { continue }
                    #expect(try await shop.backends().count == 1)
                    try await shop.witness.execute("SELECT pg_notify(unnest(\(channels)::text[]), 'news')")
                } else {
                    silent.insert(notification.channel)
                    if silent.count == channels.count { break }
                }
            }
            #expect(silent == Set(channels))
        }
    }

    @Test func `hears a burst of notifications to its end`() async throws {
        try await withShop { shop in
            let channel = "burst \(shop.number)"
            let heard = Atomic<Int>(0)
            let listening = Task(executorPreference: testExecutor) {
                for try await notification in shop.engine.listen(on: channel, startsWithGap: true) {
                    if notification.isGap {
                        try await shop.witness.execute(
                            "SELECT pg_notify(\(channel), i::text || ' ' || repeat('x', 100)) FROM generate_series(1, 20000) i"
                        )
                    } else {
                        let count = heard.add(1, ordering: .relaxed).newValue
                        #expect(notification.payload.hasPrefix("\(count) "))
                    }
                }
            }
            try await eventually("the burst has been heard") { heard.load(ordering: .relaxed) == 20_000 }
            listening.cancel()
            _ = await listening.result
        }
    }

    @Test func `is told at once that a channel cannot be`() async throws {
        let engine = try Engine(url: "postgresql://nowhere.invalid/shop")
        for name in ["", "a\0b"] {
            let ended = await outcome { for try await _ in engine.listen(on: name) {} }
            #expect(ended == .encoding)
        }
        await engine.shutdown()
    }

    @Test func `looks at the tables when the server listens, and misses nothing`() async throws {
        try await withShop { shop in
            for try await notification in shop.engine.listen(on: "news \"of\" \(shop.number)", startsWithGap: true) {
                guard notification.isGap else {
                    #expect(notification.payload == "at once")
                    break
                }
                try await shop.witness.execute("SELECT pg_notify(\("news \"of\" \(shop.number)"), 'at once')")
            }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A COPY that cannot be` {
    private func refused(
        _ expected: Outcome, naming names: [String], _ body: @escaping (Session) async throws -> Void
    ) async throws {
        try await withShop { shop in
            try await shop.engine.withSession { session in
                let error = try await failure { try await body(session) }
                #expect(Outcome(error) == expected)
                for name in names { #expect("\(error)".contains(name), "\(error)") }
                if case .server(let state) = expected { #expect(session.transactionStatus == .failed(state)) }
                try await session.rollback()
                #expect(try await session.query("SELECT 1", as: Int.self).one() == 1)
            }
        }
    }

    @Test func `names the values and the columns, where they are not as many`() async throws {
        try await refused(.encoding, naming: ["2 values", "3 columns (id, name, price)"]) { session in
            try await session.copyIn("items", columns: ["id", "name", "price"], rows: [(1, "cup")])
        }
    }

    @Test func `names its table, not a query of the library's`() async throws {
        try await refused(.server(.undefinedTable), naming: ["in: COPY nothing FROM STDIN"]) { session in
            try await session.copyIn("nothing", rows: [1])
        }
    }

    @Test func `names its own text, and where in it`() async throws {
        let text = "at character 14 in: COPY (SELECT nope FROM items)"
        try await refused(.server(.undefinedColumn), naming: [text]) { session in
            _ = try await session.copyOut("SELECT nope FROM items", as: Int.self)
        }
    }

    @Test func `says what to do about a column without a binary form`() async throws {
        try await refused(.server(.undefinedFunction), naming: ["aclitem", "cast it to text"]) { session in
            for try await _ in try await session.copyOut("SELECT '=r/postgres'::aclitem", as: String.self) {}
        }
    }

    @Test func `leaves its own SQLSTATE with the session`() async throws {
        try await refused(.server(.uniqueViolation), naming: ["line 2"]) { session in
            try await session.copyIn("items", columns: ["id", "name"], rows: [(1, "a"), (1, "b")])
        }
    }
}

import Foundation
import PoolCore
import PostgresSessions
import PostgresSessionsTesting
import Testing

private enum Mood: String, SQLEncodable, SQLDecodable, Codable { case happy, sad }
private struct Address: Codable, Equatable, Sendable, SQLEncodable, SQLDecodable {
    var street: String
    var number: Int?
}

/// The same values in each run.
private func random<V>(_ count: Int = 20, _ make: (inout SeededGenerator) -> V) -> [V] {
    var generator = SeededGenerator(seed: 7)
    return (0..<count).map { _ in make(&generator) }
}

extension SeededGenerator {
    mutating func integer<I: FixedWidthInteger>(_ type: I.Type = I.self) -> I {
        I.random(in: .min ... .max, using: &self)
    }
    mutating func double() -> Double {
        while true {
            let value = Double(bitPattern: next())
            if value.isFinite { return value }
        }
    }
    mutating func small() -> Double { Double(Int.random(in: -1_000_000...1_000_000, using: &self)) / 64 }
    mutating func point() -> SQLPoint { SQLPoint(x: small(), y: small()) }
    mutating func text() -> String {
        let alphabet = Array("ab\"\\'{},; \t\n\rÄ漢🙂NULL()")
        return String((0..<Int.random(in: 0...12, using: &self)).map { _ in alphabet.randomElement(using: &self)! })
    }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in integer() } }
    mutating func decimal() -> Decimal {
        Decimal(
            sign: .plus, exponent: Int.random(in: -30...30, using: &self), significand: Decimal(integer(Int64.self)))
    }
    mutating func moment() -> Date {
        Date(timeIntervalSince1970: Double(Int.random(in: -60_000_000_000...60_000_000_000, using: &self)) / 8)
    }
    mutating func day() -> SQLDate { SQLDate(daysSince2000: .random(in: -2_451_545...2_000_000, using: &self)) }
    mutating func clock() -> SQLTime { SQLTime(microseconds: .random(in: 0...86_400_000_000, using: &self))! }
}

private func limits<I: FixedWidthInteger>(_ type: I.Type) -> [I] {
    [.min, 0, 1, .max] + random { $0.integer() } + (I.isSigned ? [0 - 1] : [])
}

private let texts = [
    "", " ", "\u{1}\u{B}", "\u{A0}", "NULL", "null", "\\N", "\\.", "a\tb\nc\\", "{}", "\"", "'",
    "ü漢🙂\u{1F1E9}\u{1F1EA}",
]
private let moments: [Date] = [
    .distantFuture, .distantPast, Date(timeIntervalSince1970: 0), Date(timeIntervalSinceReferenceDate: -0.000_001),
    Date(timeIntervalSince1970: -62_135_596_800), Date(timeIntervalSince1970: -62_135_596_801),
]
private let points = [SQLPoint(x: 0, y: 0), SQLPoint(x: -1.5, y: 1e20)] + random(8) { $0.point() }

private func ranges<B: SQLRangeBound & Hashable>(_ low: B, _ high: B) -> [SQLRange<B>] {
    [
        .empty, .between(lower: .inclusive(low), upper: .exclusive(high)),
        .between(lower: .unbounded, upper: .unbounded),
        .between(lower: .unbounded, upper: .exclusive(high)), .between(lower: .inclusive(low), upper: .unbounded),
    ]
}

private func multiranges<B: SQLRangeBound & Hashable>(_ a: B, _ b: B, _ c: B, _ d: B) -> [SQLMultirange<B>] {
    [
        SQLMultirange([]), SQLMultirange([SQLRange(a..<b)]), SQLMultirange([SQLRange(a..<b), SQLRange(c..<d)]),
        SQLMultirange([
            .between(lower: .unbounded, upper: .exclusive(b)), .between(lower: .inclusive(c), upper: .unbounded),
        ]),
    ]
}

private let numbers: [TypeCase] = [
    TypeCase("bool", [true, false]),
    TypeCase("int2", limits(Int16.self)), TypeCase("int4", limits(Int32.self)), TypeCase("int8", limits(Int64.self)),
    TypeCase("int8", limits(Int.self)), TypeCase("int2", limits(Int8.self)), TypeCase("int2", limits(UInt8.self)),
    TypeCase("int4", limits(UInt16.self)), TypeCase("oid", limits(UInt32.self)),
    TypeCase("numeric", limits(UInt64.self)), TypeCase("numeric", limits(Int.self)),
    // The server prints a digit more now and then.
    TypeCase("float4", text: false, random { Float(bitPattern: $0.integer()) }.filter(\.isFinite)),
    TypeCase("float4", [0, -0.0, 1.5, .greatestFiniteMagnitude, .infinity, -.infinity] as [Float]),
    TypeCase("float8", text: false, random { $0.double() }),
    TypeCase(
        "float8", [0, -0.0, 0.1, 1e15, 1e-5, 123456789012345680, .greatestFiniteMagnitude, .infinity, -.infinity]),
    TypeCase("float8", random { $0.small() }), TypeCase("numeric", random { $0.small() }),
    TypeCase(
        "numeric",
        [0, 1, -1, Decimal(string: "0.00000000000000000001")!, Decimal(string: "1e30")!] + random { $0.decimal() }),
    TypeCase(
        "money", text: false,
        [SQLMoney(smallestUnits: .min), SQLMoney(smallestUnits: 0), SQLMoney(smallestUnits: 1234)]),
]

private let words: [TypeCase] = [
    TypeCase("text", texts + random { $0.text() }), TypeCase("varchar", texts), TypeCase("name", ["", "a b", "\"x\""]),
    TypeCase("bpchar", ["", "a", "b\tc"]), TypeCase("\"char\"", ["a", "{"]), TypeCase("citext", texts),
    TypeCase("text", texts.map { Substring($0) }), TypeCase("xml", ["<a>1 &lt; 2</a>", "<b/>"]),
    TypeCase("bytea", [[], [0], [0, 255, 92]] + random { $0.bytes(9) }),
    TypeCase("bytea", [Data(), Data([1, 2, 0])]),
    TypeCase("mood", [Mood.happy, .sad]), TypeCase("mood", ["happy", "sad"]),
    TypeCase("json", ["{\"a\": [1, 2, null]}", "\"x\\ty\"", "null", "1e3"]),
    TypeCase("jsonb", ["{\"a\": [1, 2]}", "\"x\"", "12.50"]),
    TypeCase("jsonb", [Address(street: "a\tb\\", number: 3), Address(street: "", number: nil)]),
    TypeCase("json", [Address(street: "a\nb\"", number: 3)]),
    TypeCase(
        "uuid",
        [UUID(uuidString: "00000000-0000-0000-0000-000000000000")!]
            + random(5) { generator in
                UUID(
                    uuidString: Array(generator.bytes(16)).enumerated().map {
                        ([4, 6, 8, 10].contains($0) ? "-" : "") + String(format: "%02x", $1)
                    }.joined())!
            }),
    TypeCase("uuid", ["3f2504e0-4f89-41d3-9a0c-0305e82c3301"]),
    TypeCase(
        "hstore",
        [
            SQLHStore([:]), SQLHStore(["a": "b\"\\", "cd": nil, "": "x"]),
            SQLHStore(["\"\u{301}=>1,\"x": "\\\u{301}"]),
        ]),
    TypeCase("positive", arrays: false, [1, Int32.max]), TypeCase("short", ["abc"]),
]

private let times: [TypeCase] = [
    TypeCase("timestamptz", moments + random { $0.moment() }), TypeCase("timestamp", moments + random { $0.moment() }),
    TypeCase(
        "timestamp",
        [.infinity, .negativeInfinity, SQLTimestamp(microsecondsSince2000: -211_813_488_000_000_000)]
            + [SQLTimestamp(microsecondsSince2000: 9_223_371_331_199_999_999), SQLTimestamp(microsecondsSince2000: -1)]
            + random { SQLTimestamp(.init(daysSince2000: .random(in: -999_999...999_999, using: &$0)), $0.clock()) }),
    TypeCase("date", [.infinity, .negativeInfinity, SQLDate(daysSince2000: 0)] + random { $0.day() }),
    TypeCase("time", [SQLTime(microseconds: 0)!, SQLTime(microseconds: 86_400_000_000)!] + random { $0.clock() }),
    TypeCase(
        "timetz",
        [-57_599, 0, 12_600, 57_599].map { SQLTimeWithZone(time: SQLTime(hour: 1, minute: 2)!, secondsFromGMT: $0) }),
    TypeCase(
        "interval",
        [
            SQLInterval(), SQLInterval(months: .max, days: .min, microseconds: .max),
            SQLInterval(months: -14, days: 3, microseconds: -1),
        ]
            + random {
                SQLInterval(
                    months: .random(in: -999...999, using: &$0), days: .random(in: -99...99, using: &$0),
                    microseconds: .random(in: -99_000_000_000...99_000_000_000, using: &$0))
            }),
    TypeCase("interval", [Duration.zero, .microseconds(-1), .seconds(86_400)]),
    TypeCase("date", ["2024-02-29", "infinity"]), TypeCase("timestamptz", ["2024-02-29 01:02:03.5+00"]),
]

private let shapes: [TypeCase] = [
    TypeCase("point", points), TypeCase("line", [SQLLine(a: 1, b: -2, c: 0.5)]),
    TypeCase("lseg", zip(points, points.reversed()).map { SQLLineSegment(start: $0, end: $1) }),
    TypeCase("box", [SQLBox(high: SQLPoint(x: 2, y: 3), low: SQLPoint(x: -1, y: 0))]),
    TypeCase("path", [SQLPath(isClosed: true, points: points), SQLPath(isClosed: false, points: [points[0]])]),
    TypeCase("polygon", [SQLPolygon(points: points)]),
    TypeCase("circle", points.map { SQLCircle(center: $0, radius: 2.5) }),
    TypeCase("varbit", [SQLBits([]), SQLBits([true]), SQLBits((0..<19).map { $0 % 3 == 0 })]),
    TypeCase("bit(3)", [SQLBits([true, false, true])]),
    TypeCase(
        "inet", text: false,  // its ::text has a length always, its output only where it says something
        [
            SQLInet(address: [10, 0, 0, 1])!, SQLInet(address: [10, 0, 0, 0], prefixLength: 8)!,
            SQLInet(address: [UInt8](repeating: 0xAB, count: 16), prefixLength: 64)!,
        ]),
    TypeCase("cidr", [SQLInet(address: [10, 0, 0, 0], prefixLength: 8, isNetwork: true)!]),
    TypeCase("inet", ["10.0.0.0/8"]),
    TypeCase("macaddr", [SQLMACAddress(bytes: [1, 2, 3, 4, 5, 255])!]),
    TypeCase("macaddr8", [SQLMACAddress(bytes: [1, 2, 3, 4, 5, 6, 7, 255])!]),
    TypeCase("int4range", ranges(Int32.min, 7)), TypeCase("int8range", ranges(-5, Int.max)),
    TypeCase("numrange", ranges(Decimal(string: "-1.5")!, 2)),
    TypeCase("tstzrange", ranges(moments[2], moments[2] + 1.5)),
    TypeCase(
        "tsrange", ranges(SQLTimestamp(microsecondsSince2000: -5), SQLTimestamp(microsecondsSince2000: 5_000_000))),
    TypeCase(
        "tsmultirange",
        multiranges(
            SQLTimestamp(microsecondsSince2000: 1), .init(microsecondsSince2000: 2), .init(microsecondsSince2000: 5),
            .init(microsecondsSince2000: 9))),
    TypeCase("daterange", ranges(SQLDate(daysSince2000: -9), SQLDate(daysSince2000: 9))),
    TypeCase("int4multirange", multiranges(Int32(1), 2, 5, 9)), TypeCase("int8multirange", multiranges(1, 2, 5, 9)),
    TypeCase("nummultirange", multiranges(Decimal(1), 2, 5, 9)),
    TypeCase(
        "datemultirange",
        multiranges(
            SQLDate(daysSince2000: 1), SQLDate(daysSince2000: 2), SQLDate(daysSince2000: 5), SQLDate(daysSince2000: 6))),
    TypeCase("tstzmultirange", multiranges(moments[2], moments[2] + 1, moments[2] + 2, moments[2] + 3)),
    TypeCase("tsvector", ["", "'cat':3 'fat':2,4B", "'a' 'it''s':1A", "'''\u{301}x'"]),
    TypeCase(
        "tsquery",
        [
            "'fat' & ( 'rat' | !'cat':*A )", "'a' <-> ( 'b' <2> 'c' ) & !( 'a b' | 'it''s' )",
            "'a' <-> 'b' <3> 'c':ABCD",
            "!!'\\\\'", "!( 'a' & 'b' ) | 'c' <-> ( 'd' | 'e' )", "( 'a' | 'b' ) & 'c' & 'd'",
        ]),
    TypeCase("pg_lsn", ["0/0", "16/B374D848"]),
    TypeCase("tid", ["(0,1)", "(4294967295,65535)"]), TypeCase("jsonpath", ["$.\"a\"[*]"]),
    TypeCase("int2vector", arrays: false, ["1 2 3"]),
    TypeCase("address", ["(\"a b\",3)", "(a\u{A0}b,)", "(,)", "(\"x\"\"y\",)"]),
    TypeCase("pg_snapshot", ["10:20:10,14,15"]), TypeCase("regclass", text: false, arrays: false, [] as [String]),
]

@Suite(.timeLimit(.minutes(30))) struct `A value of type` {
    @Test(arguments: numbers) func `number comes back as it went`(type: TypeCase) async throws { try await check(type) }
    @Test(arguments: words) func `text or bytes comes back as it went`(type: TypeCase) async throws {
        try await check(type)
    }
    @Test(arguments: times) func `time comes back as it went`(type: TypeCase) async throws { try await check(type) }
    @Test(arguments: shapes) func `shape, address or range comes back as it went`(type: TypeCase) async throws {
        try await check(type)
    }

    @Test(arguments: numbers + words + times + shapes)
    func `is the same from the server's text`(type: TypeCase) async throws {
        let options = PoolOptions(size: 1, maxOverflow: 0)
        for settings in [
            ["timezone": "UTC"], ["timezone": "Asia/Kolkata", "intervalstyle": "iso_8601", "bytea_output": "escape"],
        ] {
            try await withShop(options, session: SessionOptions(locals: settings)) { shop in
                try await TypeCase.makeTypes(shop)
                try await type.checkText(shop.engine)
            }
        }
    }

    private func check(_ type: TypeCase) async throws {
        try await withShop(session: SessionOptions(locals: ["timezone": "UTC", "intervalstyle": "postgres"])) { shop in
            try await TypeCase.makeTypes(shop)
            try await shop.engine.withTransaction { session in try await type.check(session) }
        }
    }
}

extension TypeCase {
    fileprivate static func makeTypes(_ shop: Shop) async throws {
        try await Extensions.areMade.value
        let types: [SQLQuery] = [
            "CREATE TYPE mood AS ENUM ('happy', 'sad')", "CREATE TYPE address AS (street text, number int4)",
            "CREATE DOMAIN positive AS int4 CHECK (VALUE > 0)", "CREATE DOMAIN short AS varchar(9)",
        ]
        for type in types { try await shop.witness.execute(type) }
    }
}
@Suite(.timeLimit(.minutes(30))) struct `A type that nobody has a codec for` {
    private static let privileges: SQLQuery = "SELECT 'postgres=r/postgres'::aclitem AS a, 7::int8 AS b"

    @Test func `and that has no binary form comes as text, where nothing is lost by asking again`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let alone = try await shop.engine.query(Self.privileges, as: (String, Int).self).one()
            #expect(alone == ("postgres=r/postgres", 7))
            try await shop.engine.withTransaction { session in
                let known = try await session.query(Self.privileges, as: (String, Int).self).one()
                #expect(known == ("postgres=r/postgres", 7))
            }
            let array = try await shop.engine.query(
                "SELECT ARRAY['postgres=r/postgres'::aclitem, NULL]", as: [String?].self
            ).one()
            #expect(array == ["postgres=r/postgres", nil])
        }
    }

    @Test func `and that has no binary form fails the transaction in which it is met late`() async throws {
        try await withShop { shop in
            let late = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute("SELECT 1")
                    _ = try await session.query(Self.privileges, as: (String, Int).self).one()
                }
            }
            let next = try await shop.engine.query("SELECT 1", as: Int.self).one()
            #expect(late == .server(.undefinedFunction) && next == 1)
        }
    }

    @Test func `and that has no binary form is streamed as text`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let many: SQLQuery = """
                SELECT n, tstzrange(NULL, 'epoch'::timestamptz + n * interval '1 s'), 'postgres=r/postgres'::aclitem
                FROM generate_series(1, 2000) AS n
                """
            for isInSession in [false, true, false] {
                var count = 0
                func take(_ row: (Int, SQLRange<Date>, String)) {
                    count += 1
                    let end = Date(timeIntervalSince1970: Double(count))
                    #expect(row == (count, .between(lower: .unbounded, upper: .exclusive(end)), "postgres=r/postgres"))
                }
                typealias Row = (Int, SQLRange<Date>, String)
                if isInSession {
                    try await shop.engine.withTransaction { session in
                        for try await row in session.query(many, as: Row.self).stream() { take(row) }
                    }
                } else {
                    for try await row in shop.engine.query(many, as: Row.self).stream() { take(row) }
                }
                #expect(count == 2000)
            }
        }
    }

    @Test func `is shown as text or as bytes`() async throws {
        try await withShop { shop in
            let texts = try await shop.engine.query(
                "SELECT ROW(1, 'a b', NULL, true), ARRAY['(0,1)'::tid], 'a'::refcursor, '1 2'::oidvector",
                as: (String, String, String, String).self
            ).one()
            #expect(texts == ("(1,\"a b\",,t)", "{\"(0,1)\"}", "a", "1 2"))
            let bytes = try await shop.engine.query("SELECT '16/B374D848'::pg_lsn", as: [UInt8].self).one()
            #expect(bytes == [0, 0, 0, 0x16, 0xB3, 0x74, 0xD8, 0x48])
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `Rows that are copied into columns of other types` {
    @Test func `are read by the columns' own input`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                try await session.execute(
                    """
                    CREATE TEMP TABLE mixed (n numeric, d date, u uuid, r int4range, w text[], f numeric, t timestamptz, m text)
                    ON COMMIT DROP
                    """)
                let words = ["a\tb", "\\", "\"", "NULL", ""]
                let rows = [
                    (7, "2024-02-29", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "[1,5)", words, 0.1, "infinity", "\\.\n"),
                    (Int.max, "infinity", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "empty", [], -0.0, "epoch", ""),
                ]
                let written = try await session.copyIn("mixed", rows: rows)
                #expect(written == 2)
                let read = try await session.query(
                    "SELECT n, d, u, r, w, f, m FROM mixed ORDER BY n",
                    as: (Int, String, String, String, [String], Double, String).self
                ).all()
                #expect(read[0].0 == 7 && read[0].1 == "2024-02-29" && read[0].2 == rows[0].2 && read[0].3 == "[1,5)")
                #expect(read[0].4 == words && read[0].5 == 0.1 && read[0].6 == "\\.\n")
                #expect(read[1].0 == .max && read[1].1 == "infinity" && read[1].3 == "empty" && read[1].4 == [])
            }
        }
    }

    @Test func `are refused where the server cannot read one, which it names`() async throws {
        try await withShop { shop in
            try await shop.engine.execute("CREATE TABLE days (d date)")
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await session.copyIn("days", rows: ["2024-02-29", "2023-02-29"])
                }
            }
            #expect(Outcome(error) == .server("22008"))
            #expect((error as? ServerError)?.context?.contains("line 2, column d") == true)
            let other = await outcome {
                try await shop.engine.withTransaction { try await $0.copyIn("days", rows: [true]) }
            }
            #expect(other == .encoding)
        }
    }
}

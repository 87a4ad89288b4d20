import Foundation
import PoolCore

@testable import PostgresSessions

/// Bytes that no honest server sends, and the decoders that are to survive them: some are random, most are a valid value's
/// with some damage, since random ones seldom get past a decoder's first check.
struct FuzzInputs {
    /// A valid value, and the type that reads it.
    struct Seed {
        var type: SQLType
        var isBinary: Bool
        var bytes: [UInt8]
        var target: any SQLDecodable.Type

        func cell(_ bytes: UnsafeRawBufferPointer) -> SQLCell {
            Invented.cell(bytes, type, isBinary: isBinary)
        }
    }

    let seeds: [Seed]
    let targets: [any SQLDecodable.Type]
    let types: [SQLType]

    init() throws {
        seeds = try Self.numbers() + Self.texts() + Self.times() + Self.shapes() + Self.ranges() + Self.containers()
        var seen: Set<ObjectIdentifier> = []
        targets = seeds.map(\.target).filter { seen.insert(ObjectIdentifier($0)).inserted }
        types = Array(Set(seeds.map(\.type))).sorted { $0.rawValue < $1.rawValue } + [.unknown, SQLType(rawValue: 3)]
    }

    /// One input: mostly a damaged seed under its own name, else random bytes, and now and then under any other name.
    func next(_ generator: inout SeededGenerator) -> Seed {
        var input = seeds[generator.below(seeds.count)]
        switch generator.below(16) {
        case 0...3: input.bytes = random(&generator)
        case 4: input.bytes += seeds[generator.below(seeds.count)].bytes
        case 5...6: break
        default: for _ in 0...generator.below(3) { damage(&input.bytes, &generator) }
        }
        switch generator.below(16) {
        case 0...1: input.type = types[generator.below(types.count)]
        case 2: input.isBinary.toggle()
        case 3...5: input.target = targets[generator.below(targets.count)]
        case 6...7: input.target = String.self
        default: break
        }
        return input
    }

    /// A row of COPY's binary format, of an int8, a text, an int8[] and a timestamptz; often damaged.
    func nextRow(_ generator: inout SeededGenerator) -> [UInt8] {
        let fields: [[UInt8]] = [
            big(Int64(5)), Array("ü".utf8), big(Int32(1)) + big(Int32(0)) + big(UInt32(20)) + big(Int64(1)),
            big(Int64(5)),
        ]
        var row = big(Int16(fields.count))
        for field in fields {
            switch generator.below(8) {
            case 0: row += big(Int32(-1))
            case 1:
                let input = next(&generator).bytes
                row += big(Int32(input.count)) + input
            default: row += big(Int32(field.count)) + field
            }
        }
        if generator.below(2) == 0 { for _ in 0...generator.below(3) { damage(&row, &generator) } }
        return row
    }

    /// Counts, lengths and words where a decoder may stumble.
    private static let words: [[UInt8]] =
        [0, 1, 2, 6, 7, 15, 16, -1, -2, .max, .min].flatMap { [big($0 as Int32), big(Int16(truncatingIfNeeded: $0))] }
        + [
            big(Int64.max), big(Int64.min), big(UInt32(25)), big(UInt32(2249)), [0xC0, 0x00], [0xF0, 0x00], [0x80], [],
        ]
        + [
            "e-9223372036854775808", "9999999999999999999999999999999999999999", "{{{{{{{", "[0:1]=", "\\", "\"",
            "NULL",
            "infinity", " BC", "-838:59:59", "99:99", "nan", "1e400", ",", "}", "0000000", "\u{FEFF}", "é", "+", "-",
        ].map { Array($0.utf8) }

    private func random(_ generator: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<generator.below(8) {
            switch generator.below(4) {
            case 0: bytes += big(types[generator.below(types.count)].rawValue)
            case 1: bytes += big(generator.next()).prefix(generator.below(9))
            default: bytes += Self.words[generator.below(Self.words.count)]
            }
        }
        return bytes
    }

    private func damage(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        let place = generator.below(bytes.count + 1)
        switch generator.below(6) {
        case 0: bytes.removeLast(bytes.count - place)
        case 1: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: place)
        case 2: bytes.insert(contentsOf: Self.words[generator.below(Self.words.count)], at: place)
        case 3: if place < bytes.count { bytes[place] ^= 1 << UInt8(generator.below(8)) }
        case 4: if place < bytes.count { bytes[place] = UInt8(truncatingIfNeeded: generator.next()) }
        default:
            let word = Self.words[generator.below(Self.words.count)]
            bytes.replaceSubrange(place..<min(place + word.count, bytes.count), with: word)
        }
    }
}

extension SeededGenerator {
    mutating func below(_ limit: Int) -> Int { Int(truncatingIfNeeded: next() >> 1) % limit }
}

private enum Mood: String, Codable, SQLEncodable, SQLDecodable { case happy, sad }
private struct Grade: RawRepresentable, SQLEncodable, SQLDecodable { var rawValue: Int }
struct FuzzParts: Codable, SQLEncodable, SQLDecodable {
    var a: Int
    var b: String?
    var c: [Int]?
    var at: Date?
}
private struct FuzzNest: Decodable, SQLDecodable {
    var part: FuzzParts
    var parts: [FuzzParts]?
}

extension FuzzInputs {
    /// Values alone, in an array, and both as the text that the server would send.
    private static func seeds<V: SQLEncodable & SQLDecodable>(_ type: SQLType, _ values: [V]) throws -> [Seed] {
        let isBinary = V.sqlFormat == .binary
        var seeds = try values.map {
            Seed(type: type, isBinary: isBinary, bytes: try encoded($0), target: V.self)
        }
        let array = isBinary ? V.sqlArrayType : .textArray
        let arrays = try [
            encoded((values + values).map { $0 as V? }), encoded([] as [V?]), encoded(values.map { $0 as V? } + [nil]),
        ]
        seeds += arrays.map { Seed(type: array, isBinary: isBinary, bytes: $0, target: [V?].self) }
        guard isBinary else { return seeds }
        let nested = try encoded([values, values])
        seeds.append(Seed(type: array, isBinary: true, bytes: nested, target: [[V]].self))
        seeds += seeds.compactMap { seed in
            guard let text = try? decode(String.self, seed.type, seed.bytes) else { return nil }
            return Seed(type: seed.type, isBinary: false, bytes: Array(text.utf8), target: seed.target)
        }
        return seeds
    }

    /// A value of a type that has no encoder here, or has another form.
    private static func seed<V: SQLDecodable>(
        _ type: SQLType, _ bytes: [UInt8], isBinary: Bool = true, as target: V.Type
    ) -> Seed { Seed(type: type, isBinary: isBinary, bytes: bytes, target: target) }

    private static func numbers() throws -> [Seed] {
        let decimals = ["0", "-12.50", "79228162514264337593543950335", "1e-20"].map { Decimal(string: $0)! }
        return try seeds(.bool, [true, false]) + seeds(.int2, [Int8.min, 7]) + seeds(.int2, [UInt8.max])
            + seeds(.int2, [Int16.min, 7]) + seeds(.int4, [UInt16.max]) + seeds(.int4, [Int32.min, 7])
            + seeds(.int8, [UInt32.max]) + seeds(.int8, [Int64.min, 7]) + seeds(.int8, [Int.max, 7])
            + seeds(.numeric, [UInt.max, 10_000]) + seeds(.numeric, [UInt64.max]) + seeds(.numeric, decimals)
            + seeds(.float4, [Float.pi, -.infinity]) + seeds(.float8, [Double.pi, 1e300, -0.0, .nan])
            + seeds(.money, [SQLMoney(smallestUnits: -5)]) + seeds(.int8, [Grade(rawValue: 3)])
            + [
                seed(.numeric, encoded(UInt64(12_000_000)), as: Int.self), seed(.oid, big(UInt32.max), as: UInt32.self),
                seed(.numeric, encoded(decimals[1]), as: Double.self), seed(.xid8, big(UInt64.max), as: UInt64.self),
                seed(.numeric, [0, 0, 0, 0, 0xD0, 0, 0, 0], as: Float.self),
                seed(.jsonb, [1] + "12.5e1".utf8, as: Decimal.self),
                seed(.text, Array("-1.5E+3".utf8), as: Decimal.self),
                seed(.text, Array(" 42 ".utf8), as: Int.self), seed(.float8, big(UInt64(1) << 62), as: Decimal.self),
            ]
    }

    private static func texts() throws -> [Seed] {
        let words = ["", "a b", "ü漢\"\\{},;", "NULL"]
        let json = #"{"a":1,"b":"é\n","c":[1,2],"at":"2026-11-22T20:22:45.5Z"}"#
        let uuid = UUID(uuid: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255))
        return try seeds(.text, words) + seeds(.varchar, words.map { Substring($0) })
            + seeds(.text, ["a", "🇩🇪"] as [Character])
            + seeds(.bytea, [[0, 255], []] as [[UInt8]]) + seeds(.bytea, [Data([1, 2])]) + seeds(.uuid, [uuid])
            + seeds(Invented.mood, [Mood.happy, .sad])
            + seeds(.jsonb, [FuzzParts(a: 1, b: "x", c: [1], at: Date(timeIntervalSince1970: 0.5))])
            + [
                seed(.json, Array(json.utf8), as: FuzzParts.self), seed(.json, Array("[1,null]".utf8), as: [Int?].self),
                seed(.jsonb, [1] + #""2026-11-22""#.utf8, as: SQLDate.self),
                seed(.json, Array("\"sad\"".utf8), as: Mood.self),
                seed(.json, Array(#"{"part":\#(json),"parts":[\#(json)]}"#.utf8), as: FuzzNest.self),
                seed(.name, Array("n".utf8), as: String.self), seed(.char, [0xE9], as: String.self),
                seed(.xml, Array("<a/>".utf8), as: String.self), seed(.text, Array("yes".utf8), as: Bool.self),
                seed(.bytea, Array("\\x00ff".utf8), isBinary: false, as: Data.self),
                seed(.uuid, Array("3f2504e0-4f89-41d3-9a0c-0305e82c3301".utf8), isBinary: false, as: UUID.self),
            ]
    }

    private static func times() throws -> [Seed] {
        let clock = SQLTime(hour: 20, minute: 22, second: 45, microsecond: 250_000)!
        let stamps = ["2026-11-22T20:22:45.123456+02:30:15", "0044-03-15 12:00:00+00 BC", "infinity", "2026-11-22"]
        return try seeds(.timestamptz, [Date(timeIntervalSince1970: 1_700_000_000.25), .distantPast])
            + seeds(.date, [SQLDate(year: 2026, month: 11, day: 22)!, .infinity]) + seeds(.time, [clock])
            + seeds(.timetz, [SQLTimeWithZone(time: clock, secondsFromGMT: -12_600)])
            + seeds(.interval, [SQLInterval(months: 14, days: -3, microseconds: 1), SQLInterval()])
            + seeds(.interval, [Duration.milliseconds(1500)])
            + stamps.map { seed(.text, Array($0.utf8), as: Date.self) }
            + [
                seed(.timestamp, big(Int64.min), as: Date.self), seed(.date, big(Int32(-730_120)), as: Date.self),
                seed(.timestamp, big(Int64.min + 1), as: String.self),
                seed(.text, Array("24:00".utf8), as: SQLTime.self),
                seed(.json, Array(#""2026-11-22T20:22:45Z""#.utf8), as: Date.self),
                seed(.text, Array("20:22:45.25+0330".utf8), as: SQLTimeWithZone.self),
            ]
    }

    private static func shapes() throws -> [Seed] {
        let points = [SQLPoint(x: 1, y: -2.5), SQLPoint(x: 0, y: .infinity)]
        let six = SQLInet(address: [0x20, 1] + [UInt8](repeating: 0, count: 13) + [1], prefixLength: 64)!
        return try seeds(.point, points) + seeds(.line, [SQLLine(a: 1, b: 2, c: 3)])
            + seeds(.lseg, [SQLLineSegment(start: points[0], end: points[1])])
            + seeds(.box, [SQLBox(high: points[0], low: points[1]), SQLBox(high: points[1], low: points[0])])
            + seeds(.path, [SQLPath(isClosed: true, points: points), SQLPath(isClosed: false, points: [])])
            + seeds(.polygon, [SQLPolygon(points: points)])
            + seeds(.circle, [SQLCircle(center: points[0], radius: 2)])
            + seeds(.inet, [six, SQLInet(address: [10, 0, 0, 1])!])
            + seeds(.cidr, [SQLInet(address: [10, 0, 0, 0], prefixLength: 8, isNetwork: true)!])
            + seeds(.varbit, [SQLBits((0..<19).map { $0 % 3 == 0 }), SQLBits([])])
            + [
                seed(.macaddr, [1, 2, 3, 4, 5, 255], as: SQLMACAddress.self),
                seed(.macaddr8, [1, 2, 3, 4, 5, 6, 7, 255], as: SQLMACAddress.self),
                seed(.bit, big(Int32(3)) + [0xA0], as: SQLBits.self),
            ]
    }

    private static func ranges() throws -> [Seed] {
        func both<B: SQLRangeBound & Hashable>(_ low: B, _ high: B) throws -> [Seed] {
            let ranges: [SQLRange<B>] = [
                .empty, SQLRange(low..<high), .between(lower: .unbounded, upper: .inclusive(high)),
                .between(lower: .exclusive(low), upper: .unbounded),
            ]
            return try seeds(B.sqlRangeType, ranges)
                + seeds(B.sqlMultirangeType, [SQLMultirange(ranges), SQLMultirange([])])
        }
        return try both(Int32(1), 5) + both(-1, Int.max) + both(Decimal(1), 2) + both(Date.distantPast, .distantFuture)
            + both(SQLDate(daysSince2000: -1), .infinity)
            + [seed(.tsrange, encoded(SQLRange(Date.distantPast..<Date.distantFuture)), as: SQLRange<Date>.self)]
    }

    private static func composite(_ fields: [(SQLType, [UInt8]?)]) -> [UInt8] {
        fields.reduce(into: big(Int32(fields.count))) { bytes, field in
            bytes += big(field.0.rawValue) + big(Int32(field.1?.count ?? -1)) + (field.1 ?? [])
        }
    }

    private static func text<V: SQLDecodable>(_ type: SQLType, _ text: String, as target: V.Type) -> Seed {
        seed(type, Array(text.utf8), isBinary: false, as: target)
    }

    private static func containers() throws -> [Seed] {
        let user = Invented.parts
        let part = try composite([
            (.int8, big(Int64(5))), (.text, Array("b\"".utf8)), (.int8Array, encoded([1, 2])), (.timestamptz, nil),
        ])
        let parts =
            big(Int32(1)) + big(Int32(0)) + big(user.rawValue) + big(Int32(1)) + big(Int32(1)) + big(Int32(part.count))
            + part
        let hstore =
            big(Int32(2)) + big(Int32(1)) + [0x61] + big(Int32(1)) + [0x62] + big(Int32(0)) + big(Int32(-1))
        let vector = try encoded([Int16(1), 2, 3])
        let lexemes =
            big(Int32(2)) + Array("cat\0".utf8) + big(UInt16(1)) + big(UInt16(3)) + Array("it's\0".utf8) + [0, 0]
        return [
            seed(user, part, as: FuzzParts.self), seed(.record, part, as: FuzzParts.self),
            seed(.record, composite([(user, part), (Invented.partsArray, parts)]), as: FuzzNest.self),
            seed(Invented.partsArray, parts, as: [FuzzParts].self), seed(Invented.hstore, hstore, as: SQLHStore.self),
            seed(SQLType(rawValue: 22), vector, as: String.self), seed(SQLType(rawValue: 22), vector, as: [Int].self),
            seed(SQLType(rawValue: 27), big(UInt32(1)) + big(UInt16(2)), as: String.self),
            seed(SQLType(rawValue: 30), try encoded([UInt32(1), 2]), as: String.self),
            seed(SQLType(rawValue: 24), big(UInt32(1)), as: String.self), seed(.regclass, big(UInt32(1)), as: Int.self),
            seed(SQLType(rawValue: 3220), big(UInt64(1) << 40), as: String.self),
            seed(
                SQLType(rawValue: 3615),
                big(Int32(4)) + [2, 4] + big(UInt16(2)) + [1, 0, 0, 97, 0, 2, 1, 1, 8, 1, 39, 0], as: String.self),
            seed(SQLType(rawValue: 3614), lexemes, as: String.self),
            seed(
                SQLType(rawValue: 5038), big(Int32(1)) + big(Int64(1)) + big(Int64(3)) + big(Int64(2)), as: String.self),
            seed(SQLType(rawValue: 4072), [1] + Array("$.a".utf8), as: String.self),
            seed(SQLType(rawValue: 1790), Array("cursor".utf8), as: String.self),
            seed(SQLType(rawValue: 2278), [], as: String.self),
            seed(SQLType(rawValue: 1010), try encoded([UInt32(1), 2]), as: String.self),
            seed(.textArray, Array(#"[0:1]={{"a\"",NULL},{b\ ,"NULL"}}"#.utf8), isBinary: false, as: [[String?]].self),
            text(Invented.parts, #"(5,"b ""c""","{1,2}","2026-11-22 20:00:00+02")"#, as: FuzzParts.self),
            text(Invented.partsArray, #"{"(5,\"b\"\"\",\"{1,2}\",)",NULL}"#, as: [FuzzParts?].self),
            text(Invented.nest, #"("(5,b,,)","{""(5,b,,)""}")"#, as: FuzzNest.self),
            text(.record, "(1,b,,)", as: FuzzParts.self),
            text(Invented.hstore, #""a"=>"b\"\\", "c"=>NULL"#, as: SQLHStore.self),
            text(Invented.span, "[1,5)", as: SQLRange<Int>.self),
            text(Invented.spans, "{[1,5),[7,)}", as: SQLMultirange<Int>.self),
            text(.interval, "@ 1 year -2 mons 4 hours 5 mins 6.5 secs ago", as: SQLInterval.self),
            text(.interval, "P1Y-2M3DT4H5M6.5S", as: SQLInterval.self),
            text(.interval, "-3 4:05:06", as: SQLInterval.self),
            text(.money, "-$1,234.56", as: SQLMoney.self), text(.bytea, #"a\\\000"#, as: Data.self),
            text(SQLType(rawValue: 22), "1 2 3", as: [Int].self),
            seed(.boxArray, Array("{(1,2),(0,0);(3,4),(0,0)}".utf8), isBinary: false, as: [String].self),
            seed(.int8Array, Array("{{{1},{2}},{{3},{4}}}".utf8), isBinary: false, as: [[[Int]]].self),
        ]
    }
}

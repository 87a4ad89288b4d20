import Foundation
import PostgresWire
import Testing

@testable import PostgresSessions

private func text<V: SQLEncodable>(_ value: V) throws -> String { try decode(String.self, V.sqlType, encoded(value)) }

@Suite struct `Days, times and spans` {
    @Test func `come back as they went`() throws {
        let date = try #require(SQLDate(year: 2026, month: 11, day: 22))
        #expect(try decode(SQLDate.self, .date, encoded(date)) == date)
        #expect(try decode(SQLDate.self, text: "2026-11-22") == date)
        #expect(date.year == 2026 && date.month == 11 && date.day == 22)
        let time = try #require(SQLTime(hour: 20, minute: 22, second: 45, microsecond: 250_000))
        #expect(try decode(SQLTime.self, .time, encoded(time)) == time)
        #expect(try decode(SQLTime.self, text: "20:22:45.25") == time)
        let zoned = SQLTimeWithZone(time: time, secondsFromGMT: 7_200)
        #expect(try decode(SQLTimeWithZone.self, .timetz, encoded(zoned)) == zoned)
        #expect(try decode(SQLTimeWithZone.self, text: "20:22:45.25+02") == zoned)
        let span = SQLInterval(months: 14, days: -3, microseconds: 1_500_000)
        #expect(try decode(SQLInterval.self, .interval, encoded(span)) == span)
        #expect(try decode(Duration.self, .interval, encoded(Duration.milliseconds(1500))) == .milliseconds(1500))
    }

    @Test func `print as the server prints them`() throws {
        #expect(
            try text(SQLInterval(months: 14, days: 3, microseconds: 14_706_789_000))
                == "1 year 2 mons 3 days 04:05:06.789")
        #expect(try text(SQLInterval(months: -1, days: 1)) == "-1 mons +1 day")
        #expect(try text(SQLInterval(days: -1, microseconds: 3_600_000_000)) == "-1 days +01:00:00")
        #expect(try text(SQLInterval(months: -1, days: 1, microseconds: 3_600_000_000)) == "-1 mons +1 day 01:00:00")
        #expect(try text(SQLInterval()) == "00:00:00")
        #expect(SQLInterval(months: .min, days: .min, microseconds: .min).description == "-infinity")
        #expect(SQLInterval(months: .min, microseconds: .min).description != "-infinity")
        #expect(
            try text(SQLTimeWithZone(time: SQLTime(hour: 1, minute: 2)!, secondsFromGMT: -12_600)) == "01:02:00-03:30")
        #expect(try text(SQLTimeWithZone(time: .midnight, secondsFromGMT: 9_015)) == "00:00:00+02:30:15")
        #expect(try text(SQLDate.infinity) == "infinity")
    }

    @Test func `refuse what is none`() {
        #expect(SQLDate(year: 2026, month: 2, day: 29) == nil)
        #expect(SQLTime(hour: 24, minute: 1) == nil)
        #expect(SQLDate(year: .min, month: 1, day: 1) == nil && SQLDate(year: 2026, month: 1, day: .max) == nil)
        let zoned = SQLTimeWithZone(time: SQLTime(hour: 1, minute: 2)!, secondsFromGMT: .min)
        #expect(reason { _ = try encoded(zoned) }?.contains("offset") == true && "\(zoned)".hasPrefix("01:02:00-"))
        #expect(reason { _ = try decode(SQLTime.self, .time, big(Int64(-1))) } != nil)
        let farEast = [57_599, 57_600].map { SQLTimeWithZone(time: .midnight, secondsFromGMT: $0) }
        #expect(reason { _ = try encoded(farEast[0]) } == nil && reason { _ = try encoded(farEast[1]) } != nil)
        for span in [SQLInterval(months: 1), SQLInterval(days: 1)] {
            #expect(reason { _ = try decode(Duration.self, .interval, encoded(span)) }?.contains("varies") == true)
        }
        for long in [Duration.seconds(Int64.max), .seconds(9_223_372_036_854) + .microseconds(775_808)] {
            #expect(reason { _ = try encoded(long) }?.contains("longer") == true)
        }
        #expect(
            reason { _ = try decode(Duration.self, .interval, encoded(SQLInterval(days: 1))) }?.contains("days") == true
        )
    }
}

@Suite struct `The edges of a day, and of all days` {
    @Test func `are read from text`() throws {
        let read: [(String, Int64)] = [
            ("24:00:00", 86_400_000_000), ("10:00:60", 36_060_000_000), ("00:00:00.123456", 123_456),
            ("00:00:00.1234565", 123_457), ("00:00:00.1234564999", 123_456), ("23:59:59.9999999", 86_400_000_000),
        ]
        for (text, micros) in read { #expect(try decode(SQLTime.self, text: text).microseconds == micros, "\(text)") }
        #expect(SQLTime(hour: 24, minute: 0)?.microseconds == 86_400_000_000)
        #expect(try decode(SQLTimeWithZone.self, text: "01:00:00-02:30:15").secondsFromGMT == -9_015)
        let last = try #require(SQLDate(year: 5_874_897, month: 12, day: 31))
        #expect(try decode(SQLDate.self, text: "5874897-12-31") == last && last.description == "5874897-12-31")
    }

    @Test(arguments: ["24:00:01", "25:00:00", "10:60:00", "10:00:61", "10:00:00.", "1:00:00"])
    func `have no time beyond them`(text: String) {
        #expect(reason { _ = try decode(SQLTime.self, text: text) } != nil)
    }

    @Test(arguments: ["01:00:00+02:60", "01:00:00+02:30:60", "01:00:00+0260", "01:00:00+2"])
    func `have no such offset`(text: String) {
        #expect(reason { _ = try decode(SQLTimeWithZone.self, text: text) } != nil)
    }

    @Test func `have no moment beyond them`() throws {
        let last = try decode(SQLTimestamp.self, text: "294277-01-09 04:00:54.775806")
        #expect(last.microsecondsSince2000 == .max - 1)
        for text in ["294277-01-09 05:00:00", "9999999-01-01", "0000-01-01 BC", "123-01-01", "12345678-01-01"] {
            #expect(reason { _ = try decode(SQLTimestamp.self, text: text) } != nil, "\(text)")
        }
        let beyond = [SQLDate(daysSince2000: .max - 1), SQLDate(daysSince2000: .min + 1)]
        #expect(beyond.map { SQLTimestamp($0, .midnight) } == [.infinity, .negativeInfinity])
        // The server has moments from 4714-11-24 BC to 294276-12-31.
        for days in [-2_451_546, 106_751_991 - 8] as [Int64] {
            let date = Date(timeIntervalSinceReferenceDate: Double(days - 366) * 86_400)
            #expect(reason { _ = try encoded(date) }?.contains("outside") == true, "\(days)")
        }
    }

    @Test func `are not what a moment is rounded to`() throws {
        #expect(try encoded(Date(timeIntervalSinceReferenceDate: 0.000_000_7)) == big(Int64(31_622_400_000_001)))
        #expect(try encoded(Date(timeIntervalSinceReferenceDate: -0.000_000_7)) == big(Int64(31_622_399_999_999)))
    }
}

@Suite struct `Ranges` {
    @Test func `are refused where they are damaged`() throws {
        let range = try encoded(SQLRange(1..<5))
        let many = try encoded(SQLMultirange([SQLRange(1..<5)]))
        for bytes in [range + [0], Array(range.dropLast()), []] {
            #expect(reason { _ = try decode(SQLRange<Int>.self, .int8range, bytes) } != nil)
        }
        for bytes in [
            many + [0], Array(many.dropLast()), big(Int32(-1)), big(Int32.max), big(Int32(1)) + big(Int32(-1)),
        ] {
            #expect(reason { _ = try decode(SQLMultirange<Int>.self, .int8multirange, bytes) } != nil)
        }
        #expect(
            reason { _ = try decode(SQLMultirange<Int>.self, .int8multirange, big(Int32.max)) }?.contains(
                "of 2147483647") == true)
    }

    @Test func `have the quotes that the server gives their bounds`() throws {
        let bounds = [
            ("a", "a"), ("", "\"\""), ("a b", "\"a b\""), ("a\\b", "\"a\\\\b\""), ("a\"b", "\"a\"\"b\""),
            ("a,b", "\"a,b\""), ("a(b", "\"a(b\""), ("a)b", "\"a)b\""), ("a[b", "\"a[b\""), ("a]b", "\"a]b\""),
            ("{a}", "{a}"),
            ("a\tb", "\"a\tb\""),
        ]
        for (bound, quoted) in bounds {
            let parts = RangeParts(lower: bound, upper: nil, includesLower: true, includesUpper: false)
            #expect(try parts.shown { $0 } == "[\(quoted),)")
        }
    }

    @Test func `of nothing are empty`() {
        #expect(SQLRange(5..<5) == .empty && SQLRange(5...5) != .empty)
    }

    @Test func `come back as they went`() throws {
        let ranges: [SQLRange<Int>] = [
            .empty, SQLRange(1..<5), SQLRange(1...5), .between(lower: .unbounded, upper: .exclusive(3)),
        ]
        for range in ranges { #expect(try decode(SQLRange<Int>.self, .int8range, encoded(range)) == range) }
        let many = SQLMultirange([SQLRange(1..<2), SQLRange(5..<9)])
        #expect(try decode(SQLMultirange<Int>.self, .int8multirange, encoded(many)) == many)
        #expect(try decode([SQLRange<Int>].self, .int8rangeArray, encoded(ranges)) == ranges)
    }

    @Test func `read from a range of another integer type`() throws {
        #expect(try decode(SQLRange<Int>.self, .int4range, encoded(SQLRange(Int32(1)..<5))) == SQLRange(1..<5))
        #expect(reason { _ = try decode(SQLRange<Int>.self, .text, [0]) } != nil)
    }

    @Test func `print as the server prints them`() throws {
        #expect(try text(SQLRange(1..<5)) == "[1,5)")
        #expect(try text(SQLRange<Int>.between(lower: .unbounded, upper: .unbounded)) == "(,)")
        #expect(try text(SQLMultirange([SQLRange(1..<2)])) == "{[1,2)}")
        let day = Date(timeIntervalSince1970: 0)..<Date(timeIntervalSince1970: 86_400)
        #expect(try text(SQLRange(day)) == #"["1970-01-01 00:00:00+00","1970-01-02 00:00:00+00")"#)
    }
}

@Suite struct `Addresses, bits and figures` {
    @Test func `come back as they went`() throws {
        let inet = try #require(SQLInet(address: [192, 168, 0, 1], prefixLength: 24))
        #expect(try decode(SQLInet.self, .inet, encoded(inet)) == inet)
        let bits = SQLBits([true, false, true, false, true, false, true, false, true])
        #expect(try decode(SQLBits.self, .varbit, encoded(bits)) == bits)
        #expect(bits.count == 9 && bits[8] && !bits[7])
        let path = SQLPath(isClosed: false, points: [SQLPoint(x: 1, y: 2), SQLPoint(x: 3, y: 4)])
        #expect(try decode(SQLPath.self, .path, encoded(path)) == path)
        let circle = SQLCircle(center: SQLPoint(x: 1, y: 2), radius: 3.5)
        #expect(try decode(SQLCircle.self, .circle, encoded(circle)) == circle)
        #expect(try decode(SQLMoney.self, .money, encoded(SQLMoney(smallestUnits: 5))).smallestUnits == 5)
    }

    @Test func `print as the server prints them`() throws {
        #expect(try text(SQLInet(address: [10, 0, 0, 0], prefixLength: 8)!) == "10.0.0.0/8")
        let addresses: [([UInt8], String)] = [
            ([0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [1], "2001:db8::1"),
            (Array(repeating: 0, count: 16), "::"),
            (Array(repeating: 0, count: 10) + [255, 255, 1, 2, 3, 4], "::ffff:1.2.3.4"),
            ([0, 1] + Array(repeating: 0, count: 14), "1::"),
            ([0, 1, 0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7], "1:0:2:3:4:5:6:7"),
        ]
        for (address, shown) in addresses { #expect(try text(SQLInet(address: address)!) == shown) }
        #expect(SQLMACAddress(bytes: [8, 0, 0x2B, 1, 2, 3])?.description == "08:00:2b:01:02:03")
        #expect(try text(SQLBits([true, false])) == "10")
        #expect(try text(SQLBox(high: SQLPoint(x: 3, y: 4), low: SQLPoint(x: 1, y: 2.5))) == "(3,4),(1,2.5)")
        #expect(try text(SQLCircle(center: SQLPoint(x: 1, y: 2), radius: 3)) == "<(1,2),3>")
        #expect(reason { _ = try text(SQLMoney(smallestUnits: 5)) }?.contains("SQLMoney") == true)
    }
}

@Suite struct `Composites and hstore` {
    private struct Address: Decodable, Equatable, SQLDecodable {
        var street: String
        var number: Int
        var zip: String?
    }

    private func composite(_ fields: [(SQLType, [UInt8]?)]) -> [UInt8] {
        fields.reduce(into: big(Int32(fields.count))) { bytes, field in
            bytes += big(field.0.rawValue) + big(Int32(field.1?.count ?? -1)) + (field.1 ?? [])
        }
    }

    @Test func `decode field by field, in order`() throws {
        let bytes = composite([(.text, Array("Main".utf8)), (.int4, big(Int32(5))), (.text, nil)])
        #expect(try decode(Address.self, .record, bytes) == Address(street: "Main", number: 5, zip: nil))
        #expect(try decode(Address.self, Invented.address, bytes).number == 5)
    }

    @Test func `name the field that does not fit`() {
        let bytes = composite([(.text, Array("Main".utf8)), (.int4, nil), (.text, nil)])
        #expect(reason { _ = try decode(Address.self, .record, bytes) }?.contains("\"number\"") == true)
        let short = composite([(.text, Array("Main".utf8))])
        #expect(reason { _ = try decode(Address.self, .record, short) }?.contains("1 fields") == true)
    }

    /// Each layer is the only value in the one around it.
    private func nested(_ type: SQLType, _ layers: Int) -> [UInt8] {
        let head: [UInt8] =
            switch type {
            case .record: big(Int32(1)) + big(type.rawValue)
            default: big(Int32(1)) + big(Int32(0)) + big(type.rawValue) + big(Int32(1)) + big(Int32(1))
            }
        return (1...layers).flatMap { head + big(Int32((layers - $0) * (head.count + 4))) }
    }

    @Test(arguments: [SQLType.record, .int8Array, SQLType(rawValue: 22), Invented.partsArray])
    func `do not follow what is nested without end`(type: SQLType) throws {
        let text = try? decode(String.self, type, nested(type, 10_000))
        #expect(text.map { $0.utf8.count < 100_000_000 } ?? true)
    }

    /// Each level doubles the quotes of those inside it.
    @Test func `are shown as text as far as that is one of a size to be held`() throws {
        func wrapped(_ layers: Int) -> [UInt8] {
            (1...layers).reduce(composite([(.int4, big(Int32(7)))])) { inner, _ in composite([(.record, inner)]) }
        }
        #expect(try decode(String.self, .record, wrapped(15)).contains("(7)"))
        #expect(reason { _ = try decode(String.self, .record, wrapped(16)) }?.contains("deeply") == true)
    }

    private struct Keeper: Decodable {
        let container: KeyedDecodingContainer<Key>
        enum Key: String, CodingKey { case a }
        init(from decoder: any Decoder) throws { container = try decoder.container(keyedBy: Key.self) }
    }

    @Test func `refuse to be read after their value`() throws {
        let keeper = try composite([(.int4, big(Int32(5)))]).withUnsafeBytes {
            try CellDecoder.decode(Keeper.self, from: SQLCell(bytes: $0, type: .record, isBinary: true))
        }
        #expect(reason { _ = try keeper.container.decode(Int.self, forKey: .a) } != nil)
        let rows = SyntheticResult(.int8, name: "a", [big(Int64(5)), big(Int64(6))])
        let kept = try RowDecoding<Keeper>.decodable.decodeAll(rows.wire)
        #expect(reason { _ = try kept[0].container.decode(Int.self, forKey: .a) } != nil)
        #expect(try RowDecoding<Keeper>.decodable.decodeAll(rows.wire).count == 2)
        #expect(reason { _ = try kept[1].container.decode(Int.self, forKey: .a) } != nil)
    }

    @Test func `have the forms of what they are made of, wherever they are`() throws {
        let four = big(Int32(1)) + big(Int32(0)) + big(Invented.positive.rawValue) + big(Int32(1)) + big(Int32(1))
        #expect(try decode([Int].self, SQLType(rawValue: 2277), four + big(Int32(4)) + big(Int32(7))) == [7])
        let bytes = composite([
            (.text, Array("Main".utf8)), (Invented.positive, big(Int32(825_373_492))), (.text, nil),
        ])
        #expect(try decode(Address.self, Invented.address, bytes).number == 825_373_492)
        #expect(try decode(String.self, Invented.address, bytes) == "(Main,825373492,)")
        let span = [0x02] + big(Int32(4)) + big(Int32(1)) + big(Int32(4)) + big(Int32(5))
        #expect(try decode(SQLRange<Int>.self, Invented.span, span) == SQLRange(1..<5))
        #expect(try decode(String.self, Invented.spans, big(Int32(1)) + big(Int32(span.count)) + span) == "{[1,5)}")
        #expect(try decode(String.self, Invented.path, [1] + Array("a.b".utf8)) == "a.b")
        #expect(
            try decode(String.self, Invented.cube, big(UInt32(1)) + big(1.5.bitPattern) + big(2.0.bitPattern))
                == "(1.5),(2)")
    }

    @Test func `that nobody knows are bytes, and nothing that they might look like`() throws {
        let digits = Array("1234".utf8)
        #expect(try decode([UInt8].self, Invented.opaque, digits) == digits)
        let ownKinds = [(Invented.opaque, "shop.opaque"), (SQLType(rawValue: 3361), "type 3361")]
        for (type, name) in ownKinds {
            let reason = reason { _ = try decode(String.self, type, digits) }
            #expect(reason?.contains(name) == true && reason?.contains("cast it to text") == true)
        }
        #expect(reason { _ = try decode(Int.self, Invented.opaque, digits) }?.contains("shop.opaque") == true)
        #expect(try decode([UInt8].self, Invented.unknown, digits) == digits)
        for reason in [
            reason { _ = try decode(String.self, Invented.unknown, digits) },
            reason { _ = try decode(Int.self, Invented.unknown, digits) },
            reason { _ = try decode([Int].self, Invented.unknown, digits) },
            reason { _ = try decode(Address.self, Invented.unknown, digits) },
        ] {
            #expect(reason?.contains("70099") == true && reason?.contains("cast") == true)
        }
    }

    @Test func `hold keys with values that may be NULL`() throws {
        let bytes =
            big(Int32(2)) + big(Int32(1)) + [0x61] + big(Int32(1)) + [0x62] + big(Int32(1)) + [0x63] + big(Int32(-1))
        let store = try decode(SQLHStore.self, Invented.hstore, bytes)
        #expect(store["a"] == "b" && store["c"] == nil && store.pairs.count == 2)
        #expect(String(decoding: try encoded(SQLHStore(["a\"": nil])), as: UTF8.self) == #""a\""=>NULL"#)
    }
}

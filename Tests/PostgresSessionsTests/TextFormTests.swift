import Foundation
import PostgresWire
import Testing

@testable import PostgresSessions

/// What a value is, read from a text that the server would send.
private func read<V: SQLDecodable>(_ type: V.Type, _ sqlType: SQLType, _ text: String) throws -> V {
    try decode(type, sqlType, Array(text.utf8), isBinary: false)
}

@Suite struct `A value that came as text` {
    @Test(
        arguments: [
            ("1 year 2 mons -3 days +04:05:06.5", 14, -3, 14_706_500_000), ("-00:00:00.000001", 0, 0, -1),
            ("00:00:00", 0, 0, 0),
            ("-178956970 years -8 mons", Int32.min, 0, 0),
            ("@ 1 year 2 mons -3 days 4 hours 5 mins 6.5 secs", 14, -3, 14_706_500_000),
            ("@ 1 mon 1 day ago", -1, -1, 0), ("@ 0", 0, 0, 0), ("@ 1 day -2 hours ago", 0, -1, 7_200_000_000),
            ("+1-2 -3 +4:05:06.5", 14, -3, 14_706_500_000), ("-1-2", -14, 0, 0), ("-3 4:05:06", 0, -3, -14_706_000_000),
            ("0", 0, 0, 0),
            ("P1Y2M-3DT4H5M6.5S", 14, -3, 14_706_500_000), ("PT0S", 0, 0, 0), ("PT-0.000001S", 0, 0, -1),
            ("P-1M", -1, 0, 0),
            ("-2562047788:00:54.775808", 0, 0, Int64.min), ("2147483647 days", 0, Int32.max, 0),
        ] as [(String, Int32, Int32, Int64)])
    func `is an interval in any of the server's styles`(text: String, months: Int32, days: Int32, microseconds: Int64)
        throws
    {
        let expected = SQLInterval(months: months, days: days, microseconds: microseconds)
        #expect(try read(SQLInterval.self, .interval, text) == expected)
        #expect(try read(String.self, .interval, text) == expected.description)
    }

    @Test(arguments: [
        "", "P", "1", "1 week", "@", "ago", "1:2:3:4", "1-2-3", "PT", "P1", "1 day 2", "9223372036854775807 years",
        "2147483648 days", "1.5 days", "00:00:00.1234567", "1 dayss", "P1T2H", "PT1HT2M", "1 day ago",
        "99999999999999999999999999999999999999 years",
    ])
    func `is no interval where the server would not print it so`(text: String) {
        #expect(reason { _ = try read(SQLInterval.self, .interval, text) } != nil)
    }

    @Test func `is an address, a shape, bits or money`() throws {
        for text in [
            "10.0.0.1", "10.0.0.0/8", "2001:db8::1", "::", "::ffff:1.2.3.4", "1::", "1:0:2:3:4:5:6:7", "::1/64",
        ] {
            #expect(try read(SQLInet.self, .inet, text).description == text)
        }
        for text in ["", "1.2.3", "1.2.3.256", ":::", "1:2", "12345::", "1.2.3.4/33", "1.2.3.4/", "::1.2.3", "1::2::3"]
        {
            #expect(reason { _ = try read(SQLInet.self, .inet, text) } != nil, "\(text)")
        }
        #expect(try read(SQLInet.self, .cidr, "10.0.0.0/8").isNetwork)
        #expect(try read(SQLMACAddress.self, .macaddr, "08:00:2b:01:02:ff").bytes == [8, 0, 0x2B, 1, 2, 255])
        #expect(reason { _ = try read(SQLMACAddress.self, .macaddr, "08:00:2b:01:02") } != nil)
        #expect(try read(SQLBits.self, .varbit, "0101").description == "0101")
        #expect(try read(SQLBits.self, .varbit, "").count == 0)
        #expect(try read(SQLMoney.self, .money, "-$1,234.56").smallestUnits == -123_456)
        #expect(try read(SQLMoney.self, .money, "(1.234,56 €)").smallestUnits == -123_456)
        #expect(try read(SQLMoney.self, .money, "-$92,233,720,368,547,758.08").smallestUnits == .min)
        #expect(try read(SQLPath.self, .path, "[(1,2),(3e+20,-4.5)]").points.last == SQLPoint(x: 3e20, y: -4.5))
        #expect(try read(SQLCircle.self, .circle, "<(1,2),Infinity>").radius == .infinity)
        #expect(reason { _ = try read(SQLBox.self, .lseg, "[(1,2),(3,4)]") }?.contains("lseg") == true)
    }

    @Test func `is a range or a multirange, with bounds in quotes`() throws {
        #expect(try read(SQLRange<Int>.self, .int8range, "[1,5)") == SQLRange(1..<5))
        #expect(try read(SQLRange<Int>.self, .int8range, "(,)") == .between(lower: .unbounded, upper: .unbounded))
        #expect(try read(SQLRange<Int>.self, .int8range, "empty") == .empty)
        let moments = try read(SQLRange<Date>.self, .tstzrange, #"["1970-01-01 00:00:00+00","1970-01-02 02:00:00+02")"#)
        #expect(moments == SQLRange(Date(timeIntervalSince1970: 0)..<Date(timeIntervalSince1970: 86_400)))
        #expect(try read(SQLMultirange<Int>.self, .int8multirange, "{[1,2),[5,9)}").ranges.count == 2)
        #expect(try read(SQLMultirange<Int>.self, .int8multirange, "{}").ranges == [])
        #expect(try read(SQLRange<Int>.self, Invented.span, "[1,5)") == SQLRange(1..<5))
        for text in ["", "[1", "[1,2", "[1,2,3)", "1,2)", "[1,2) ", "emptyx", "{[1,2)", "{[1,2)}x"] {
            #expect(reason { _ = try read(SQLRange<Int>.self, .int8range, text) } != nil, "\(text)")
            #expect(reason { _ = try read(SQLMultirange<Int>.self, .int8multirange, text) } != nil, "\(text)")
        }
    }

    private struct Address: Codable, Equatable, SQLDecodable {
        var street: String
        var number: Int
        var zip: String?
    }

    @Test func `is a composite, an array of them, or an hstore`() throws {
        #expect(
            try read(Address.self, Invented.address, #"("a ""b"" \\,",7,)"#) == Address(street: #"a "b" \,"#, number: 7)
        )
        #expect(try read(Address.self, .record, #"("",7,z)"#) == Address(street: "", number: 7, zip: "z"))
        #expect(reason { _ = try read(Address.self, Invented.address, "(a,7)") }?.contains("2 fields") == true)
        for text in ["(a,7,z", "(a,7,z)x"] {
            #expect(reason { _ = try read(Address.self, Invented.address, text) } != nil)
        }
        #expect(reason { _ = try read(Address.self, Invented.address, "(a,x,z)") }?.contains("\"number\"") == true)
        let parts = try read([FuzzParts].self, Invented.partsArray, #"{"(5,\"b\"\"\",\"{1,2}\",)"}"#)
        #expect(parts.first?.b == "b\"" && parts.first?.c == [1, 2])
        let store = try read(SQLHStore.self, Invented.hstore, #""a"=>"b\"\\", "c"=>NULL, ""=>"NULL""#)
        #expect(store.pairs == ["a": "b\"\\", "c": nil, "": "NULL"])
        #expect(reason { _ = try read(SQLHStore.self, Invented.hstore, #""a"=>"b""c"=>NULL"#) } != nil)
    }

    @Test func `is an array that ends an element at its own delimiter alone`() throws {
        #expect(try read([String].self, .textArray, "{a;b,c}") == ["a;b", "c"])
        #expect(try read([SQLBox].self, .boxArray, "{(1,2),(0,0);(3,4),(0,0)}").count == 2)
        #expect(try read([Int].self, SQLType(rawValue: 22), "1 2 3") == [1, 2, 3])
    }

    @Test func `is shown as its binary form is, whatever the session's settings`() throws {
        let shown: [(SQLType, String, String)] = [
            (.bool, "t", "true"), (.timestamptz, "2026-11-22 20:22:45.5+02", "2026-11-22 18:22:45.5+00"),
            (.timestamptz, "infinity", "infinity"), (.bytea, #"a\\\000"#, "\\x615c00"), (.interval, "P1D", "1 day"),
            (.boolArray, "[0:1]={t,NULL}", "[0:1]={t,NULL}"),
            (.timestamptzArray, #"{"2026-11-22 20:00:00+02"}"#, #"{"2026-11-22 18:00:00+00"}"#),
            (.tstzrange, #"["2026-11-22 20:00:00+02",)"#, #"["2026-11-22 18:00:00+00",)"#), (.text, "t", "t"),
            (
                Invented.parts, #"(5,"b ""c""","{1,2}","2026-11-22 20:00:00+02")"#,
                #"(5,"b ""c""","{1,2}","2026-11-22 18:00:00+00")"#
            ),
            (.record, "(t,1)", "(t,1)"), (.money, "$1.00", "$1.00"),
        ]
        for (type, text, expected) in shown { #expect(try read(String.self, type, text) == expected) }
        #expect(try read([UInt8].self, .bytea, #"a\\\000"#) == [0x61, 0x5C, 0])
    }

    @Test func `is refused where it is out of a type's range`() throws {
        let huge = "1" + String(repeating: "0", count: 400)
        #expect(reason { _ = try read(Double.self, .numeric, huge) }?.contains("range") == true)
        #expect(reason { _ = try read(Double.self, .float8, "1e400") }?.contains("range") == true)
        #expect(try read(Double.self, .numeric, "-Infinity") == -.infinity && read(Double.self, .float8, "NaN").isNaN)
    }

    @Test func `is nil where JSON says null, for all but text`() throws {
        struct Settings: Decodable, Equatable, SQLDecodable { var theme: String }
        #expect(
            try read(Settings?.self, .jsonb, "null") == nil
                && decode(Int?.self, .jsonb, [1] + Array("null".utf8)) == nil)
        #expect(try read([Int]?.self, .json, " null ") == nil && read(String?.self, .json, "null") == "null")
        #expect(
            reason { _ = try read(Settings.self, .jsonb, "null") } != nil
                && reason { _ = try read(Int?.self, .jsonb, "nul") } != nil)
        struct Row: Decodable { var value: Settings? }
        let rows = SyntheticResult(.jsonb, [[1] + Array("null".utf8), nil, [1] + Array(#"{"theme":"dark"}"#.utf8)])
        let values = try RowDecoding<Row>.decodable.decodeAll(rows.wire).map(\.value)
        #expect(values == [nil, nil, Settings(theme: "dark")])
    }

    @Test func `is refused as a day in another style, whose setting is named`() {
        for reason in [
            reason { _ = try read(Date.self, .timestamptz, "Sun 22 Nov 20:22:45 2026 CET") },
            reason { _ = try read(SQLDate.self, .date, "22.11.2026") },
        ] { #expect(reason?.contains("DateStyle") == true) }
    }
}

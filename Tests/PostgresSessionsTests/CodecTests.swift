import Foundation
import PostgresWire
import Testing

@testable import PostgresSessions

@Suite struct `Short texts` {
    /// A short ASCII text is looked at in two words that overlap.
    @Test(arguments: 0...24) func `are what was sent, or refused where they are not UTF-8`(count: Int) throws {
        let plain = (0..<count).map { UInt8(33 + $0) }
        #expect(try decode(String.self, .text, plain) == String(decoding: plain, as: UTF8.self))
        for place in 0..<count {
            var torn = plain
            torn[place] = 0x80
            #expect(reason { _ = try decode(String.self, .text, torn) }?.contains("UTF-8") == true)
            guard place > 0 else { continue }
            torn[place - 1] = 0xC3
            #expect(try decode(String.self, .text, torn).utf8.elementsEqual(torn))
        }
    }
}

@Suite struct `Integers` {
    @Test func `read from every integer type that fits`() throws {
        #expect(try decode(Int.self, .int2, big(Int16(-5))) == -5)
        #expect(try decode(Int8.self, .int8, big(Int64(127))) == 127)
        #expect(try decode(UInt64.self, .int4, big(Int32(9))) == 9)
        #expect(try decode(UInt32.self, .oid, big(UInt32.max)) == .max)
        #expect(try decode(Int.self, .int8, big(Int64.min)) == .min)
    }

    @Test func `refuse what they cannot hold, and say what they hold`() {
        #expect(reason { _ = try decode(Int8.self, .int2, big(Int16(128))) }?.contains("-128 to 127") == true)
        #expect(reason { _ = try decode(UInt8.self, .int4, big(Int32(-1))) } != nil)
        #expect(reason { _ = try decode(Int.self, .float8, big(UInt64(0))) }?.contains("float8") == true)
    }

    @Test(arguments: [0, 1, 3, 5, 7, 9, 100]) func `refuse a cell of the wrong length`(count: Int) {
        let bytes = Array(repeating: UInt8(1), count: count)
        for type in [SQLType.int2, .int4, .int8, .oid] {
            #expect(reason { _ = try decode(Int.self, type, bytes) }?.contains("\(count) bytes") == true)
        }
    }

    @Test func `read from text and from whole numerics`() throws {
        #expect(try decode(Int.self, text: " 42 ") == 42)
        #expect(reason { _ = try decode(Int.self, text: "42x") } != nil)
        #expect(reason { _ = try decode(Int.self, text: "") } != nil)
        #expect(try decode(Int.self, .numeric, encoded(Decimal(string: "12000000")!)) == 12_000_000)
        #expect(try decode(Int.self, .numeric, encoded(Decimal(Int.min))) == .min)
        #expect(reason { _ = try decode(Int.self, .numeric, encoded(Decimal(string: "1.5")!)) } != nil)
        #expect(try decode(UInt64.self, .numeric, encoded(UInt64.max)) == .max)
    }
}

@Suite struct `Floating-point numbers` {
    @Test(arguments: [0, -0.0, 1.5, -1e300, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude])
    func `come back as they went`(value: Double) throws {
        #expect(try decode(Double.self, .float8, encoded(value)).bitPattern == value.bitPattern)
        #expect(try decode(Double.self, text: "\(value)").bitPattern == value.bitPattern)
    }

    @Test func `read from every number type`() throws {
        #expect(try decode(Double.self, .float4, encoded(Float(1.5))) == 1.5)
        #expect(try decode(Float.self, .float8, encoded(1.5)) == 1.5)
        #expect(try decode(Double.self, .int8, big(Int64(7))) == 7)
        #expect(try decode(Double.self, .numeric, encoded(Decimal(string: "-0.1")!)) == -0.1)
        #expect(try decode(Double.self, .float8, encoded(Double.nan)).isNaN)
        #expect(try decode(Double.self, text: "Infinity") == .infinity)
    }

    @Test func `read numerics to the nearest value`() throws {
        for text in [
            "0.1", "123456789.123456789", "9007199254740993", "1e22", "1e23", "0.000000000000000000000001", "8.41",
        ] {
            let numeric = try encoded(Decimal(string: text)!)
            #expect(try decode(Double.self, .numeric, numeric) == Double(text))
        }
    }
}

@Suite struct `Decimals` {
    @Test(arguments: [
        "0", "1", "-1", "0.1", "10000", "9999", "10000.0001", "-12345678901234567890.123456789", "0.00000001", "1e100",
        "1e-100",
        "99999999999999999999999999999999999999", "340282366920938463463374607431768211455", "1.50", "100", "5e-5",
    ])
    func `come back exactly`(text: String) throws {
        let value = Decimal(string: text)!
        #expect(try decode(Decimal.self, .numeric, encoded(value)) == value)
        #expect(try decode(Decimal.self, text: text) == value)
    }

    @Test func `survive random digits and exponents`() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let digits = Decimal(UInt64.random(in: .min ... .max, using: &generator))
            let sign: FloatingPointSign = Bool.random() ? .minus : .plus
            let value = Decimal(sign: sign, exponent: Int.random(in: -60...60), significand: digits)
            #expect(try decode(Decimal.self, .numeric, encoded(value)) == value)
        }
    }

    @Test func `are zero, one thousand and a half in the server's own bytes`() throws {
        #expect(try encoded(Decimal(0)) == big(Int16(0)) + big(Int16(0)) + big(Int16(0)) + big(Int16(0)))
        #expect(
            try encoded(Decimal(1000)) == big(Int16(1)) + big(Int16(0)) + big(Int16(0)) + big(Int16(0))
                + big(Int16(1000)))
        #expect(
            try encoded(Decimal(string: "-0.5")!)
                == big(Int16(1)) + big(Int16(-1)) + big(UInt16(0x4000)) + big(Int16(1)) + big(Int16(5000)))
    }

    @Test func `refuse NaN, the infinities and too many digits, clearly`() {
        let special: [(UInt16, String)] = [(0xC000, "NaN"), (0xD000, "infinity"), (0xF000, "infinity")]
        for (sign, word) in special {
            let bytes = big(Int16(0)) + big(Int16(0)) + big(sign) + big(Int16(0))
            #expect(reason { _ = try decode(Decimal.self, .numeric, bytes) }?.contains(word) == true)
        }
        let long = String(repeating: "123456789", count: 5)
        #expect(reason { _ = try decode(Decimal.self, text: long) }?.contains("38") == true)
    }

    @Test(arguments: [
        "1e-9223372036854775808", "1e9223372036854775807", "1e99999999999999999999", "0e-9223372036854775808",
    ])
    func `refuse an exponent that no number has`(text: String) {
        #expect(reason { _ = try decode(Decimal.self, text: text) }?.contains("Decimal") == true)
    }

    @Test func `print as the server prints numerics of any length`() throws {
        let digits = (1...20).flatMap { big(Int16($0)) }
        let bytes = big(Int16(20)) + big(Int16(9)) + big(UInt16(0x4000)) + big(Int16(38)) + digits
        let text = try decode(String.self, .numeric, bytes)
        #expect(text.hasPrefix("-1000200030004") && text.hasSuffix(".00110012001300140015001600170018001900"))
    }
}

@Suite struct `Text` {
    @Test func `reads every scalar type as the server prints it`() throws {
        #expect(try decode(String.self, .bool, [1]) == "true")
        #expect(try decode(String.self, .int8, big(Int64(-7))) == "-7")
        #expect(try decode(String.self, .bytea, [0, 255]) == "\\x00ff")
        #expect(try decode(String.self, .jsonb, [1] + Array("{}".utf8)) == "{}")
        #expect(try decode(String.self, .uuid, Array(0...15)) == "00010203-0405-0607-0809-0a0b0c0d0e0f")
        #expect(try decode(String.self, .int8Array, encoded([1, nil, 3])) == "{1,NULL,3}")
        #expect(try decode(String.self, .boolArray, encoded([true, false])) == "{t,f}")
    }

    @Test func `prints floats in the server's layout`() throws {
        let shown: [(Double, String)] = [
            (1, "1"), (-0.0, "-0"), (1.5, "1.5"), (1e15, "1e+15"), (123_456_789_012_345, "123456789012345"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"), (1.25e-7, "1.25e-07"), (1e300, "1e+300"), (.nan, "NaN"), (-.infinity, "-Infinity"),
            (100, "100"),
            (0.1 + 0.2, "0.30000000000000004"),
        ]
        for (value, text) in shown { #expect(try decode(String.self, .float8, encoded(value)) == text) }
        #expect(try decode(String.self, .float4, encoded(Float(1e6))) == "1e+06")
    }

    @Test func `takes an enum's bytes as text, and refuses a stranger's`() throws {
        #expect(try decode(String.self, Invented.mood, Array("happy".utf8)) == "happy")
        #expect(reason { _ = try decode(String.self, Invented.opaque, [0, 1, 2]) }?.contains("[UInt8]") == true)
        #expect(try decode([UInt8].self, SQLType(rawValue: 600), [0, 1, 2]) == [0, 1, 2])
    }

    @Test func `refuses bytes that are not UTF-8`() throws {
        for bytes in [[0xFF], [0x61, 0xC3], [0xF0, 0x9F, 0x98], [0xED, 0xA0, 0x80]] as [[UInt8]] {
            #expect(reason { _ = try decode(String.self, .text, bytes) }?.contains("UTF-8") == true)
        }
        for text in ["", "é", "🎉 and more than fifteen bytes"] {
            #expect(try decode(String.self, .text, Array(text.utf8)) == text)
        }
    }

    @Test func `reads booleans from the server's words`() throws {
        for word in ["t", "true", "YES", "on", "1"] { #expect(try decode(Bool.self, text: word)) }
        for word in ["f", "false", "no", "OFF", "0"] { #expect(try !decode(Bool.self, text: word)) }
        #expect(reason { _ = try decode(Bool.self, text: "maybe") } != nil)
    }
}

@Suite struct `Dates` {
    private func date(_ text: String) throws -> Date { try decode(Date.self, text: text) }

    @Test func `come back to the microsecond`() throws {
        for micros in [0, 1, -1, 999_999, 822_528_000_123_456, -3_000_000_000_000_001] as [Int64] {
            #expect(try encoded(decode(Date.self, .timestamptz, big(micros))) == big(micros))
        }
    }

    @Test func `read timestamps, dates and text as the same moment`() throws {
        let moment = Date(timeIntervalSince1970: 1_700_000_000)
        #expect(try date("2023-11-14 22:13:20+00") == moment)
        #expect(try date("2023-11-15T03:43:20.000+05:30") == moment)
        #expect(try date("2023-11-14T22:13:20Z") == moment)
        #expect(try date("2023-11-14") == Date(timeIntervalSince1970: 1_699_920_000))
        #expect(try decode(Date.self, .date, big(Int32(0))) == Date(timeIntervalSince1970: 946_684_800))
        #expect(try date("0044-03-15 12:00:00+00 BC") < date("0001-01-01"))
    }

    @Test func `take infinity as the distant future and past`() throws {
        #expect(try decode(Date.self, .timestamptz, big(Int64.max)) == .distantFuture)
        #expect(try decode(Date.self, .date, big(Int32.min)) == .distantPast)
        #expect(try encoded(Date.distantFuture) == big(Int64.max))
        #expect(try date("-infinity") == .distantPast)
    }

    @Test func `refuse a day that no timestamp reaches`() {
        #expect(reason { _ = try decode(Date.self, .date, big(Int32.max - 1)) }?.contains("SQLDate") == true)
        #expect(reason { _ = try decode(Date.self, .date, big(Int32.min + 1)) }?.contains("SQLDate") == true)
        #expect(reason { _ = try decode(Date.self, .timestamptz, big(Int64.min + 1)) } != nil)
    }

    @Test func `print as the server prints them`() throws {
        #expect(try decode(String.self, .timestamptz, big(Int64(0))) == "2000-01-01 00:00:00+00")
        #expect(try decode(String.self, .timestamp, big(Int64(-1))) == "1999-12-31 23:59:59.999999")
        #expect(try decode(String.self, .date, big(Int32(-730_119))) == "0001-01-01")
        #expect(try decode(String.self, .date, big(Int32(-730_120))) == "0001-12-31 BC")
        #expect(try decode(String.self, .time, big(Int64(3_723_500_000))) == "01:02:03.5")
    }

    @Test(arguments: [
        "2023-13-01", "2023-02-30", "23-01-01", "2023-01-01 25:00:00", "2023-01-01x", "2023-01-01 10:00:00+xx", "",
    ])
    func `refuse text that is no moment`(text: String) {
        #expect(reason { _ = try date(text) } != nil)
    }

    @Test func `know every day of four thousand years`() {
        var previous = CivilDay(daysSince2000: -730_500)
        for day in -730_499...730_500 {
            let civil = CivilDay(daysSince2000: day)
            #expect(civil.daysSince2000 == day)
            let follows = civil.day == previous.day + 1 || (civil.day == 1 && previous.day >= 28)
            if !follows { Issue.record("day \(day)") }
            previous = civil
        }
    }
}

@Suite struct `Bytes and identifiers` {
    @Test func `come back as they went`() throws {
        let id = UUID()
        #expect(try decode(UUID.self, .uuid, encoded(id)) == id)
        #expect(try decode(UUID.self, text: id.uuidString.lowercased()) == id)
        #expect(try decode([UInt8].self, .bytea, encoded([1, 2, 3] as [UInt8])) == [1, 2, 3])
        #expect(try decode(Data.self, .bytea, encoded(Data([1, 2]))) == Data([1, 2]))
        #expect(try decode([UInt8].self, .bytea, Array("\\x01ff".utf8), isBinary: false) == [1, 255])
        #expect(reason { _ = try decode(UUID.self, .uuid, [1, 2, 3]) }?.contains("3 bytes") == true)
    }

    @Test func `are bytea, not an array of numbers`() {
        let q: SQLQuery = "SELECT \([UInt8]([1, 2])), \([Int]()), \([[UInt8]]())"
        #expect(q.parameters.parameters.map(\.oid) == [SQLType.bytea.rawValue, 1016, 1001])
    }
}

@Suite struct `Scalars in JSON` {
    private enum Mood: String, Codable, SQLDecodable { case happy, sad }

    private func jsonb(_ text: String) -> [UInt8] { [1] + Array(text.utf8) }

    @Test func `read as what they hold`() throws {
        #expect(try decode(Int.self, .jsonb, jsonb("5")) == 5)
        #expect(try decode(Double.self, .json, Array("1.5".utf8)) == 1.5)
        #expect(try decode(Bool.self, .jsonb, jsonb("true")))
        let date = try decode(Date.self, .jsonb, jsonb("\"2020-01-01T00:00:00.5+00:00\""))
        #expect(date == Date(timeIntervalSince1970: 1_577_836_800.5))
        #expect(try decode(Mood.self, .jsonb, jsonb("\"sad\"")) == .sad)
        #expect(reason { _ = try decode(Int.self, .jsonb, jsonb("{}")) } != nil)
    }

    @Test func `keep their text as text`() throws {
        #expect(try decode(String.self, .jsonb, jsonb("\"a\"")) == "\"a\"")
    }
}

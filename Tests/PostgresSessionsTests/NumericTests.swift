import Foundation
import PostgresWire
import Testing

@testable import PostgresSessions

@Suite struct `Numerics` {
    private func numeric(
        _ digits: [Int16], weight: Int16 = 0, sign: UInt16 = 0, scale: Int16 = 0, count: Int16? = nil
    ) -> [UInt8] {
        big(count ?? Int16(digits.count)) + big(weight) + big(sign) + big(scale) + digits.flatMap { big($0) }
    }

    @Test func `are refused where they are damaged, whoever reads them`() {
        let damaged: [([UInt8], String)] = [
            (Array(numeric([]).dropLast()), "header"), (numeric([1], count: 2), "length"),
            (numeric([1, 2], count: 1), "length"), (numeric([1], scale: -1), "length"),
            (numeric([10_000]), "digit"), (numeric([-1]), "digit"), (numeric([1], sign: 0x8000), "sign"),
        ]
        for (bytes, word) in damaged {
            #expect(reason { _ = try decode(String.self, .numeric, bytes) }?.contains(word) == true)
            #expect(reason { _ = try decode(Decimal.self, .numeric, bytes) }?.contains(word) == true)
            #expect(reason { _ = try decode(Double.self, .numeric, bytes) }?.contains(word) == true)
        }
    }

    @Test func `print with as many digits as their scale says`() throws {
        let shown: [([UInt8], String)] = [
            (numeric([5, 2500], scale: 2), "5.25"), (numeric([9999], weight: 1), "99990000"),
            (numeric([7], weight: -2, scale: 9), "0.000000070"), (numeric([7], sign: 0x4000, scale: 5), "-7.00000"),
            (numeric([], scale: 2), "0.00"),
        ]
        for (bytes, text) in shown { #expect(try decode(String.self, .numeric, bytes) == text) }
    }

    @Test func `may have zeros at their end, which cost no digits of those that fit`() throws {
        #expect(try decode(Int.self, .numeric, numeric([1, 0], weight: 1)) == 10_000)
        #expect(try decode(Int.self, .numeric, numeric([0, 0], weight: 1)) == 0)
        for text in ["9999999999999999999999999999999999999.9", "99999999999999999999999999999999999999"] {
            let value = try #require(Decimal(string: text))
            let full = try encoded(value)
            #expect(try decode(Decimal.self, .numeric, full) == value)
        }
        let zeros = numeric(Array(repeating: 9999, count: 9) + [0, 0, 0], weight: 11)
        #expect(try decode(Decimal.self, .numeric, zeros) == Decimal(string: String(repeating: "9", count: 36) + "e12"))
    }

    @Test func `are sent without the zeros that the server would leave out`() throws {
        #expect(try encoded(UInt64(10_000)) == numeric([1], weight: 1))
        #expect(try encoded(UInt64(120_000_000)) == numeric([1, 2000], weight: 2))
        #expect(try encoded(UInt64(0)) == numeric([]))
    }

    @Test(arguments: ["0", "-0", "+0.00", "-0.0e7", "0e5", "00.e-3"])
    func `are one zero, however it is written`(text: String) throws {
        #expect(try NumericForm(text: text) == NumericForm(isNegative: false, coefficient: 0, exponent: 0))
        #expect(try decode(Decimal.self, text: text) == 0)
    }

    @Test(arguments: ["", "-", ".", "e5", "-.e1", "1.2.3", "1e", "1e5.5", "--1", "0x10", "1 2"])
    func `are not read from what is no number`(text: String) {
        #expect(reason { _ = try decode(Decimal.self, text: text) } != nil)
    }

    @Test func `are no integer where it would not fit, not even by chance`() throws {
        // 2^90 times 10^38 is a multiple of 2^128.
        let large = NumericForm(isNegative: false, coefficient: 1 << 90, exponent: 38)
        #expect(try large.integer() as Int? == nil)
        #expect(try NumericForm(isNegative: true, coefficient: .max, exponent: 0).integer() as Int? == nil)
        #expect(try NumericForm(isNegative: false, coefficient: 1, exponent: 99_999).integer() as UInt64? == nil)
        #expect(try NumericForm(isNegative: false, coefficient: 10, exponent: -1).integer() as Int? == 1)
    }

    @Test func `fit 128 bits or are refused`() throws {
        let most = "340282366920938463463374607431768211455"
        #expect(try NumericForm(text: most)?.coefficient == .max)
        #expect(reason { _ = try NumericForm(text: String(most.dropLast()) + "6") }?.contains("38") == true)
    }

    @Test func `are Decimals as far as one's exponent goes, zeros moved between its parts`() throws {
        let thousand = Decimal(sign: .plus, exponent: 127, significand: 1000)
        #expect(try decode(Decimal.self, text: "1e130") == thousand)
        #expect(try decode(Decimal.self, text: "1e-128") == Decimal(sign: .plus, exponent: -128, significand: 1))
        for text in ["1e-129", "1e166", "1234567890123456789e150"] {
            #expect(reason { _ = try decode(Decimal.self, text: text) }?.contains("Decimal holds") == true)
        }
    }

    @Test func `are floating-point numbers, also those that are none`() throws {
        #expect(try decode(Double.self, .numeric, numeric([], sign: 0xC000)).isNaN)
        #expect(try decode(Double.self, .numeric, numeric([], sign: 0xD000)) == .infinity)
        #expect(try decode(Double.self, .numeric, numeric([], sign: 0xF000)) == -.infinity)
        #expect(reason { _ = try decode(Double.self, .numeric, numeric([1], weight: 100)) }?.contains("range") == true)
        #expect(reason { _ = try decode(Float.self, .numeric, numeric([1], weight: 10)) }?.contains("range") == true)
    }

    /// Beyond 2^53 two roundings may lead elsewhere than one.
    @Test func `are the nearest floating-point number, whatever their digits`() throws {
        var state: UInt64 = 42
        for _ in 0..<2_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let text = "\(state >> (4 + state >> 61)).\(state >> 40)"
            let form = try #require(try NumericForm(text: text))
            guard let fast = form.fastDouble else { continue }
            #expect(fast == Double(text), "\(text)")
        }
        for exponent in -22...22 {
            for coefficient in [(1 << 53) - 1, 1 << 53, (1 << 53) + 1, (1 << 54) + 3, (1 << 56) + 77] as [UInt128] {
                let form = NumericForm(isNegative: true, coefficient: coefficient, exponent: exponent)
                guard let fast = form.fastDouble else { continue }
                #expect(fast == Double("-\(coefficient)e\(exponent)"), "\(coefficient)e\(exponent)")
            }
        }
    }
}

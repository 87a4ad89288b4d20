/// The binary form of `numeric`, checked: a sign, and digits of base 10,000.
///
/// Int16 count, Int16 weight (the first digit's power of 10,000), UInt16 sign, Int16 scale, then the digits:
/// `numeric_send` in PostgreSQL's numeric.c.
struct NumericDigits {
    enum Sign: UInt16 {
        case positive = 0x0000
        case negative = 0x4000
        case notANumber = 0xC000
        case positiveInfinity = 0xD000
        case negativeInfinity = 0xF000
    }

    let sign: Sign
    let weight: Int
    let scale: Int
    let count: Int
    private let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) throws {
        guard bytes.count >= 8 else { throw SQLValueError("a numeric of \(bytes.count) bytes has no header") }
        func short(_ offset: Int) -> Int16 {
            Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int16.self))
        }
        guard let sign = Sign(rawValue: UInt16(bitPattern: short(4))) else {
            throw SQLValueError("a numeric with an unknown sign")
        }
        self.sign = sign
        count = Int(short(0))
        weight = Int(short(2))
        scale = Int(short(6))
        guard count >= 0, scale >= 0, bytes.count == 8 + 2 * count else {
            throw SQLValueError("a numeric whose length does not match its digits")
        }
        self.bytes = bytes
        for index in 0..<count where !(0..<10_000).contains(self[index]) {
            throw SQLValueError("a numeric with a digit out of range")
        }
    }

    /// One digit of base 10,000.
    subscript(index: Int) -> Int {
        Int(Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 + 2 * index, as: Int16.self)))
    }

    /// The digit that counts 10,000 to the power of `power`; 0 where the value has none.
    private func digit(power: Int) -> Int {
        let index = weight - power
        return index >= 0 && index < count ? self[index] : 0
    }

    /// What the server prints: every digit, and as many after the point as the scale says.
    var text: String {
        switch sign {
        case .notANumber: return "NaN"
        case .positiveInfinity: return "Infinity"
        case .negativeInfinity: return "-Infinity"
        case .positive, .negative: break
        }
        var text = sign == .negative ? "-" : ""
        if weight < 0 {
            text += "0"
        } else {
            text += String(digit(power: weight))
            for power in stride(from: weight - 1, through: 0, by: -1) { text += Self.padded(digit(power: power)) }
        }
        guard scale > 0 else { return text }
        text += "."
        var missing = scale
        var power = -1
        while missing > 0 {
            text += Self.padded(digit(power: power)).prefix(missing)
            missing -= 4
            power -= 1
        }
        return text
    }

    private static func padded(_ digit: Int) -> String {
        let text = String(digit)
        return String(repeating: "0", count: 4 - text.count) + text
    }
}

/// A decimal number that fits 128 bits: `coefficient × 10^exponent`. Between numeric, Decimal and the integers.
struct NumericForm: Equatable {
    var isNegative: Bool
    var coefficient: UInt128
    var exponent: Int

    init(isNegative: Bool, coefficient: UInt128, exponent: Int) {
        self.isNegative = isNegative
        self.coefficient = coefficient
        self.exponent = exponent
    }

    /// Reads a cell of type numeric.
    init(_ cell: SQLCell) throws {
        let digits = try NumericDigits(cell.bytes)
        switch digits.sign {
        case .positive, .negative: break
        case .notANumber: throw SQLValueError("NaN is no number here")
        case .positiveInfinity, .negativeInfinity: throw SQLValueError("infinity is no number here")
        }
        self.init(isNegative: digits.sign == .negative, coefficient: 0, exponent: 0)
        // Zeros at the end are left out, so that they do not use up the 128 bits.
        var count = digits.count
        while count > 0 && digits[count - 1] == 0 { count -= 1 }
        guard count > 0 else { return }
        exponent = 4 * (digits.weight - count + 1)
        for index in 0..<count - 1 { try push(digits[index], base: 10_000) }
        var last = digits[count - 1]
        var base: UInt128 = 10_000
        while last % 10 == 0 {
            last /= 10
            base /= 10
            exponent += 1
        }
        try push(last, base: base)
    }

    /// Reads `-12.50e3`; nil when the text is no such number.
    init?(text: some StringProtocol) throws {
        self.init(isNegative: false, coefficient: 0, exponent: 0)
        var rest = Substring(text).utf8[...]
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest.removeFirst()
        }
        var seenDigit = false
        var seenPoint = false
        var zeros = 0
        while let byte = rest.first, byte != UInt8(ascii: "e"), byte != UInt8(ascii: "E") {
            rest.removeFirst()
            switch byte {
            case UInt8(ascii: ".") where !seenPoint: seenPoint = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                seenDigit = true
                if seenPoint { exponent -= 1 }
                if byte == UInt8(ascii: "0") {
                    zeros += 1
                } else {
                    for _ in 0..<(coefficient == 0 ? 0 : zeros) { try push(0, base: 10) }
                    zeros = 0
                    try push(Int(byte - UInt8(ascii: "0")), base: 10)
                }
            default: return nil
            }
        }
        guard seenDigit else { return nil }
        if coefficient == 0 { (exponent, isNegative) = (0, false) } else { exponent += zeros }
        guard !rest.isEmpty else { return }
        guard let power = Int(Substring(rest.dropFirst())), power.magnitude < 100_000 else { return nil }
        exponent += coefficient == 0 ? 0 : power
    }

    private mutating func push(_ digit: Int, base: UInt128) throws {
        let (product, overflow) = coefficient.multipliedReportingOverflow(by: base)
        let (sum, carry) = product.addingReportingOverflow(UInt128(digit))
        guard !overflow, !carry else { throw SQLValueError("the number has more digits than fit (38)") }
        coefficient = sum
    }

    /// The number as an integer; nil when it is not whole or does not fit.
    func integer<I: FixedWidthInteger>() throws -> I? {
        guard coefficient != 0 else { return 0 }
        var magnitude = coefficient
        var power = exponent
        while power < 0 {
            guard magnitude % 10 == 0 else { return nil }
            magnitude /= 10
            power += 1
        }
        guard power <= 38 else { return nil }
        for _ in 0..<power {
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            guard !overflow else { return nil }
            magnitude = product
        }
        if !isNegative { return I(exactly: magnitude) }
        guard let positive = Int128(exactly: magnitude) else { return nil }
        return I(exactly: -positive)
    }

    /// The nearest Double when that is sure to be right: both parts are exact, so one rounding remains (Clinger's fast path).
    var fastDouble: Double? {
        guard coefficient <= 1 << 53, abs(exponent) <= 22 else { return nil }
        let power = Self.powersOfTen[abs(exponent)]
        let magnitude = exponent < 0 ? Double(coefficient) / power : Double(coefficient) * power
        return isNegative ? -magnitude : magnitude
    }

    private static let powersOfTen: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20,
        1e21, 1e22,
    ]

    /// Appends the binary form of numeric.
    func encode(into buffer: inout SQLEncodingBuffer) {
        var digits = Array(String(coefficient).utf8).map { Int($0) - 48 }
        let padding = ((exponent % 4) + 4) % 4
        digits += Array(repeating: 0, count: padding)
        let lastPower = (exponent - padding) / 4
        digits = Array(repeating: 0, count: (4 - digits.count % 4) % 4) + digits
        var groups = stride(from: 0, to: digits.count, by: 4).map { index in
            digits[index..<index + 4].reduce(0) { $0 * 10 + $1 }
        }
        var weight = lastPower + groups.count - 1
        while groups.first == 0 {
            groups.removeFirst()
            weight -= 1
        }
        while groups.last == 0 { groups.removeLast() }
        if groups.isEmpty { weight = 0 }
        buffer.append(bigEndian: Int16(groups.count))
        buffer.append(bigEndian: Int16(weight))
        buffer.append(bigEndian: isNegative && !groups.isEmpty ? NumericDigits.Sign.negative.rawValue : 0)
        buffer.append(bigEndian: Int16(max(0, -exponent)))
        for group in groups { buffer.append(bigEndian: Int16(group)) }
    }
}

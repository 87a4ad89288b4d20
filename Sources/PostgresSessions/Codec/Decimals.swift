public import Foundation

/// numeric, exactly: up to 38 significant digits and exponents of -128 to 127. NaN and the infinities are refused.
extension Decimal: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .numeric }
    public static var sqlArrayType: SQLType { .numericArray }

    public init(sqlCell: SQLCell) throws {
        if sqlCell.isBinary {
            switch sqlCell.type {
            case .numeric:
                self = try Decimal(NumericForm(sqlCell))
                return
            case .int2, .int4, .int8, .oid:
                self = Decimal(try Int64(sqlCell: sqlCell))
                return
            case .float4, .float8:
                // The shortest text that reads as this very number: what the server prints, too.
                let text =
                    sqlCell.type == .float4 ? "\(try Float(sqlCell: sqlCell))" : "\(try Double(sqlCell: sqlCell))"
                self = try Self.reading(text, from: sqlCell)
                return
            default: break
            }
        }
        guard sqlCell.isTextual else { throw sqlCell.unsupported(Decimal.self) }
        self = try Self.reading(try sqlCell.plainText(), from: sqlCell)
    }

    private static func reading(_ text: String, from cell: SQLCell) throws -> Decimal {
        guard let form = try NumericForm(text: text.trimmingSpaces()) else { throw cell.unreadable(Decimal.self) }
        return try Decimal(form)
    }

    init(_ form: NumericForm) throws {
        guard let exact = Decimal.exactly(form) else {
            throw SQLValueError("the number has more digits, or a larger exponent, than a Decimal holds")
        }
        self = exact
    }

    private static func exactly(_ form: NumericForm) -> Decimal? {
        var (coefficient, exponent) = (form.coefficient, form.exponent)
        // Zeros move into the coefficient, which has none at its end, until the exponent is one that a Decimal can have.
        while exponent > 127, coefficient <= UInt128.max / 10 {
            (coefficient, exponent) = (coefficient * 10, exponent - 1)
        }
        guard exponent >= -128, exponent <= 127 else { return nil }
        let base: UInt128 = 10_000_000_000_000  // 10^13: three parts of 13 digits hold all 128 bits
        var significand = Decimal(0)
        for (part, power) in [
            (coefficient / base / base, 26), (coefficient / base % base, 13), (coefficient % base, 0),
        ] {
            if part > 0 { significand += Decimal(sign: .plus, exponent: power, significand: Decimal(UInt64(part))) }
        }
        return Decimal(sign: form.isNegative ? .minus : .plus, exponent: exponent, significand: significand)
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        guard !isNaN else { throw SQLValueError("Decimal.nan is no number") }
        guard let form = try NumericForm(text: description) else {
            throw SQLValueError("the Decimal has no plain digits")
        }
        form.encode(into: &buffer)
    }
}

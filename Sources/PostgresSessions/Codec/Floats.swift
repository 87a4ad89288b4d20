// Float and Double: any number type of the server, to the nearest value.

extension Double: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .float8 }
    public static var sqlArrayType: SQLType { .float8Array }

    @inline(__always)
    public init(sqlCell: SQLCell) throws {
        if sqlCell.isBinary && sqlCell.type.rawValue == 701 {
            self = Double(bitPattern: try sqlCell.integer(UInt64.self))
        } else {
            self = try sqlCell.decodeFloatingPoint(Double.self)
        }
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: bitPattern) }
}

/// A float8 that does not fit a Float becomes the nearest Float.
extension Float: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .float4 }
    public static var sqlArrayType: SQLType { .float4Array }

    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeFloatingPoint(Float.self) }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: bitPattern) }
}

extension SQLCell {
    @inline(never)
    fileprivate func decodeFloatingPoint<F: BinaryFloatingPoint & LosslessStringConvertible>(_ target: F.Type) throws
        -> F
    {
        if isBinary {
            switch type {
            case .float8: return F(Double(bitPattern: try integer(UInt64.self)))
            case .float4: return F(Float(bitPattern: try integer(UInt32.self)))
            case .int2: return F(try integer(Int16.self))
            case .int4: return F(try integer(Int32.self))
            case .int8: return F(try integer(Int64.self))
            case .numeric: return try floatingPointFromNumeric(target)
            default: break
            }
        }
        guard isTextual else { throw unsupported(F.self) }
        let text = String(try plainText().trimmingSpaces())
        guard let value = F(text) else { throw unreadable(F.self) }
        // "Infinity" is one, 1e400 is none.
        guard value.isFinite || !text.utf8.contains(where: { (48...57).contains($0) }) else {
            throw SQLValueError("the number is out of \(F.self)'s range")
        }
        return value
    }

    private func floatingPointFromNumeric<F: BinaryFloatingPoint & LosslessStringConvertible>(_ target: F.Type) throws
        -> F
    {
        let digits = try NumericDigits(bytes)
        switch digits.sign {
        case .notANumber: return .nan
        case .positiveInfinity: return .infinity
        case .negativeInfinity: return -.infinity
        case .positive, .negative: break
        }
        if F.self == Double.self, let form = try? NumericForm(self), let value = form.fastDouble { return F(value) }
        guard let value = F(digits.text) else { throw unreadable(target) }
        guard value.isFinite else { throw SQLValueError("the number is out of \(F.self)'s range") }
        return value
    }
}

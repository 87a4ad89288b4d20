// Integers: any integer type of the server into any Swift integer, when the value fits; numeric when it is whole.

extension SQLCell {
    @inline(__always)
    func decodeInteger<I: FixedWidthInteger>(_ target: I.Type) throws -> I {
        guard isBinary else { return try integerFromText(target) }
        switch type.rawValue {
        case 20: return try fit(try integer(Int64.self))
        case 23: return try fit(try integer(Int32.self))
        case 21: return try fit(try integer(Int16.self))
        case 26, 28, 29, 2205, 2206: return try fit(try integer(UInt32.self))  // oid xid cid regclass regtype
        case 5069: return try fit(try integer(UInt64.self))  // xid8
        case 1700: return try integerFromNumeric(target)
        default: return try integerFromText(target)
        }
    }

    @inline(__always)
    private func fit<W: FixedWidthInteger, I: FixedWidthInteger>(_ wide: W) throws -> I {
        guard let value = I(exactly: wide) else { throw outOfRange(I.self) }
        return value
    }

    @inline(never)
    private func integerFromNumeric<I: FixedWidthInteger>(_ target: I.Type) throws -> I {
        guard let value: I = try NumericForm(self).integer() else {
            throw SQLValueError("the number is not whole, or does not fit \(I.self)")
        }
        return value
    }

    @inline(never)
    private func integerFromText<I: FixedWidthInteger>(_ target: I.Type) throws -> I {
        guard isTextual else { throw unsupported(I.self) }
        guard let value = I(try plainText().trimmingSpaces()) else { throw unreadable(I.self) }
        return value
    }

    @inline(never)
    private func outOfRange<I: FixedWidthInteger>(_ target: I.Type) -> SQLValueError {
        SQLValueError("the number does not fit \(I.self), which holds \(I.min) to \(I.max)")
    }
}

extension String {
    func trimmingSpaces() -> Substring {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

extension Int: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .int8 }
    public static var sqlArrayType: SQLType { .int8Array }
    @inline(__always)
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(Int.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: Int64(self)) }
}

extension Int64: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .int8 }
    public static var sqlArrayType: SQLType { .int8Array }
    @inline(__always)
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(Int64.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: self) }
}

extension Int32: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .int4 }
    public static var sqlArrayType: SQLType { .int4Array }
    @inline(__always)
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(Int32.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: self) }
}

extension Int16: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .int2 }
    public static var sqlArrayType: SQLType { .int2Array }
    @inline(__always)
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(Int16.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: self) }
}

extension Int8: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .int2 }
    public static var sqlArrayType: SQLType { .int2Array }
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(Int8.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: Int16(self)) }
}

extension UInt8: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .int2 }
    public static var sqlArrayType: SQLType { .int2Array }
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(UInt8.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: Int16(self)) }
}

extension UInt16: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .int4 }
    public static var sqlArrayType: SQLType { .int4Array }
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(UInt16.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: Int32(self)) }
}

extension UInt32: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .int8 }
    public static var sqlArrayType: SQLType { .int8Array }
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(UInt32.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: Int64(self)) }
}

/// Bound as numeric, the smallest type that holds every value.
extension UInt64: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .numeric }
    public static var sqlArrayType: SQLType { .numericArray }
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(UInt64.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        NumericForm(isNegative: false, coefficient: UInt128(self), exponent: 0).encode(into: &buffer)
    }
}

/// Bound as numeric, the smallest type that holds every value.
extension UInt: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .numeric }
    public static var sqlArrayType: SQLType { .numericArray }
    public init(sqlCell: SQLCell) throws { self = try sqlCell.decodeInteger(UInt.self) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { try UInt64(self).encode(into: &buffer) }
}

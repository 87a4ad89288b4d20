/// PostgreSQL's binary form of ranges: a byte of flags, then the bounds that there are behind their lengths
/// (`range_send` in rangetypes.c, the flags in rangetypes.h). Multiranges: a count, then each range behind its length.
enum RangeForm {
    static let empty: UInt8 = 0x01
    static let lowerInclusive: UInt8 = 0x02
    static let upperInclusive: UInt8 = 0x04
    static let lowerInfinite: UInt8 = 0x08
    static let upperInfinite: UInt8 = 0x10

    /// nil for the empty range.
    static func parts(of bytes: UnsafeRawBufferPointer) throws -> RangeParts<UnsafeRawBufferPointer>? {
        var reader = ByteReader(bytes)
        let flags = try reader.integer(UInt8.self)
        if flags & empty != 0 { return nil }
        let lower = flags & lowerInfinite == 0 ? try reader.counted() : nil
        let upper = flags & upperInfinite == 0 ? try reader.counted() : nil
        guard reader.remaining == 0 else { throw SQLValueError("a range with \(reader.remaining) bytes too many") }
        return RangeParts(
            lower: lower, upper: upper, includesLower: flags & lowerInclusive != 0,
            includesUpper: flags & upperInclusive != 0)
    }

    static func parts(ofMultirange bytes: UnsafeRawBufferPointer) throws -> [UnsafeRawBufferPointer] {
        var reader = ByteReader(bytes)
        let count = Int(try reader.integer(Int32.self))
        guard count >= 0, count <= reader.remaining / 4 else { throw SQLValueError("a multirange of \(count) ranges") }
        var parts: [UnsafeRawBufferPointer] = []
        for _ in 0..<count {
            guard let part = try reader.counted() else { throw SQLValueError("a multirange with a NULL in it") }
            parts.append(part)
        }
        guard reader.remaining == 0 else { throw SQLValueError("a multirange with \(reader.remaining) bytes too many") }
        return parts
    }

    static func boundType(of range: SQLType) -> SQLType? {
        switch range {
        case .int4range: .int4
        case .int8range: .int8
        case .numrange: .numeric
        case .tsrange: .timestamp
        case .tstzrange: .timestamptz
        case .daterange: .date
        default: nil
        }
    }

    static func rangeType(of multirange: SQLType) -> SQLType? {
        switch multirange {
        case .int4multirange: .int4range
        case .int8multirange: .int8range
        case .nummultirange: .numrange
        case .tsmultirange: .tsrange
        case .tstzmultirange: .tstzrange
        case .datemultirange: .daterange
        default: nil
        }
    }

    static func arrayType(of type: SQLType) -> SQLType {
        switch type {
        case .int4range: .int4rangeArray
        case .int8range: .int8rangeArray
        case .numrange: .numrangeArray
        case .tsrange: .tsrangeArray
        case .tstzrange: .tstzrangeArray
        case .daterange: .daterangeArray
        case .int4multirange: .int4multirangeArray
        case .int8multirange: .int8multirangeArray
        case .nummultirange: .nummultirangeArray
        case .tsmultirange: .tsmultirangeArray
        case .tstzmultirange: .tstzmultirangeArray
        case .datemultirange: .datemultirangeArray
        default: .unknown
        }
    }

    static func text(_ cell: SQLCell, _ bytes: UnsafeRawBufferPointer, boundType: SQLType, depth: Int) throws -> String
    {
        guard let parts = try parts(of: bytes) else { return "empty" }
        return try parts.shown { try TextForm.render(cell.part($0, boundType), depth: depth + 1) }
    }

    static func text(ofMultirange cell: SQLCell, boundType: SQLType, depth: Int) throws -> String {
        let parts = try parts(ofMultirange: cell.bytes)
        return "{" + (try parts.map { try text(cell, $0, boundType: boundType, depth: depth) }).joined(separator: ",")
            + "}"
    }
}

/// A range taken apart, from either form. A bound is nil where it is missing.
struct RangeParts<Bytes> {
    let lower: Bytes?
    let upper: Bytes?
    let includesLower: Bool
    let includesUpper: Bool

    /// As the server prints it.
    func shown(_ bound: (Bytes) throws -> String) throws -> String {
        func shown(_ bytes: Bytes?) throws -> String {
            guard let bytes else { return "" }
            return TextForm.quoted(try bound(bytes), if: "\"\\()[],")
        }
        return try (includesLower ? "[" : "(") + shown(lower) + "," + shown(upper) + (includesUpper ? "]" : ")")
    }
}

public import Foundation

/// A type of which PostgreSQL has built-in ranges.
public protocol SQLRangeBound: SQLEncodable, SQLDecodable, Comparable {
    static var sqlRangeType: SQLType { get }
    static var sqlMultirangeType: SQLType { get }
    /// The type of a bound on the wire.
    static var sqlBoundType: SQLType { get }
}

extension Int: SQLRangeBound {
    public static var sqlRangeType: SQLType { .int8range }
    public static var sqlMultirangeType: SQLType { .int8multirange }
    public static var sqlBoundType: SQLType { .int8 }
}
extension Int32: SQLRangeBound {
    public static var sqlRangeType: SQLType { .int4range }
    public static var sqlMultirangeType: SQLType { .int4multirange }
    public static var sqlBoundType: SQLType { .int4 }
}
extension Decimal: SQLRangeBound {
    public static var sqlRangeType: SQLType { .numrange }
    public static var sqlMultirangeType: SQLType { .nummultirange }
    public static var sqlBoundType: SQLType { .numeric }
}
extension Date: SQLRangeBound {
    public static var sqlRangeType: SQLType { .tstzrange }
    public static var sqlMultirangeType: SQLType { .tstzmultirange }
    public static var sqlBoundType: SQLType { .timestamptz }
}
extension SQLDate: SQLRangeBound {
    public static var sqlRangeType: SQLType { .daterange }
    public static var sqlMultirangeType: SQLType { .datemultirange }
    public static var sqlBoundType: SQLType { .date }
}

/// A PostgreSQL range: empty, or from one bound to another, each inclusive, exclusive or missing.
///
/// It is bound as the range type of its bounds, and the server refuses it where another stands: `Int` for int8range, `Int32` for
/// int4range, `Decimal` for numrange, ``SQLDate`` for daterange, ``SQLTimestamp`` for tsrange, `Date` for tstzrange. Any of them
/// reads from every range whose bounds it reads from.
public enum SQLRange<Bound: SQLRangeBound>: Hashable, Sendable where Bound: Hashable {
    case empty
    case between(lower: Limit, upper: Limit)

    public enum Limit: Hashable, Sendable {
        case inclusive(Bound)
        case exclusive(Bound)
        case unbounded
    }

    public init(_ range: Range<Bound>) {
        self =
            range.isEmpty ? .empty : .between(lower: .inclusive(range.lowerBound), upper: .exclusive(range.upperBound))
    }

    public init(_ range: ClosedRange<Bound>) {
        self = .between(lower: .inclusive(range.lowerBound), upper: .inclusive(range.upperBound))
    }
}

extension SQLRange: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { Bound.sqlRangeType }
    public static var sqlArrayType: SQLType { RangeForm.arrayType(of: Bound.sqlRangeType) }

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, let boundType = sqlCell.boundType else {
            guard sqlCell.isTextual, sqlCell.boundType != nil || !sqlCell.type.isOfDatabase else {
                throw sqlCell.unsupported(Self.self)
            }
            try self.init(RangeText.range(sqlCell.bytes), sqlCell, sqlCell.boundType ?? .unknown)
            return
        }
        try self.init(RangeForm.parts(of: sqlCell.bytes)) { try Bound(sqlCell: sqlCell.part($0, boundType)) }
    }

    fileprivate init(_ text: RangeText.Parts?, _ cell: SQLCell, _ boundType: SQLType) throws {
        let form = SQLCellForm(isBinary: false, cell.form.catalog)
        try self.init(text) { bytes in
            try bytes.withUnsafeBytes {
                try Bound(sqlCell: SQLCell(bytes: $0, type: cell.canonical(boundType), form: form))
            }
        }
    }

    private init<Bytes>(_ parts: RangeParts<Bytes>?, _ bound: (Bytes) throws -> Bound) throws {
        guard let parts else {
            self = .empty
            return
        }
        func limit(_ bytes: Bytes?, isInclusive: Bool) throws -> Limit {
            guard let bytes else { return .unbounded }
            return isInclusive ? .inclusive(try bound(bytes)) : .exclusive(try bound(bytes))
        }
        self = .between(
            lower: try limit(parts.lower, isInclusive: parts.includesLower),
            upper: try limit(parts.upper, isInclusive: parts.includesUpper))
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        guard case .between(let lower, let upper) = self else { return buffer.append(bigEndian: RangeForm.empty) }
        var flags: UInt8 = 0
        switch lower {
        case .inclusive: flags |= RangeForm.lowerInclusive
        case .exclusive: break
        case .unbounded: flags |= RangeForm.lowerInfinite
        }
        switch upper {
        case .inclusive: flags |= RangeForm.upperInclusive
        case .exclusive: break
        case .unbounded: flags |= RangeForm.upperInfinite
        }
        buffer.append(bigEndian: flags)
        for limit in [lower, upper] {
            switch limit {
            case .inclusive(let bound), .exclusive(let bound): try buffer.appendCounted { try bound.encode(into: &$0) }
            case .unbounded: break
            }
        }
    }
}

/// Several ranges in order, none touching another: PostgreSQL's multiranges (14 and later). Bound as ``SQLRange`` is.
public struct SQLMultirange<Bound: SQLRangeBound>: Hashable, Sendable, SQLEncodable, SQLDecodable
where Bound: Hashable {
    public var ranges: [SQLRange<Bound>]

    public init(_ ranges: [SQLRange<Bound>]) { self.ranges = ranges }

    public static var sqlType: SQLType { Bound.sqlMultirangeType }
    public static var sqlArrayType: SQLType { RangeForm.arrayType(of: Bound.sqlMultirangeType) }

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, let rangeType = sqlCell.rangeType else {
            guard sqlCell.isTextual, sqlCell.rangeType != nil || !sqlCell.type.isOfDatabase else {
                throw sqlCell.unsupported(Self.self)
            }
            let boundType = sqlCell.multirangeBoundType ?? .unknown
            ranges = try RangeText.multirange(sqlCell.bytes).map { try SQLRange($0, sqlCell, boundType) }
            return
        }
        ranges = try RangeForm.parts(ofMultirange: sqlCell.bytes).map {
            try SQLRange(sqlCell: sqlCell.part($0, rangeType))
        }
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        buffer.append(bigEndian: Int32(ranges.count))
        for range in ranges { try buffer.appendCounted { try range.encode(into: &$0) } }
    }
}

public import Foundation

/// A day and a time of day without a zone: PostgreSQL's `timestamp`.
///
/// A `Date` is a moment, and goes to the server as `timestamptz`; in a column of type `timestamp`, the server stores what the
/// session's time zone shows then. This type goes as it is, whatever the zone: bind `SQLTimestamp(date)` to store a moment as UTC
/// shows it, which is how a `Date` is read back from there.
public struct SQLTimestamp: Hashable, Comparable, Sendable, SQLEncodable, SQLDecodable {
    /// Microseconds since 2000-01-01 00:00; `Int64.max` and `Int64.min` are the server's infinities.
    public var microsecondsSince2000: Int64

    public init(microsecondsSince2000: Int64) { self.microsecondsSince2000 = microsecondsSince2000 }

    /// What a clock in UTC shows at that moment, to the microsecond; `Date.distantFuture` and `.distantPast` are the infinities.
    ///
    /// Throws ``SQLValueError`` for a moment that PostgreSQL does not have: it has those from 4713 BC to 294276 AD.
    public init(_ moment: Date) throws { microsecondsSince2000 = try moment.microsecondsSince2000() }

    public init(_ date: SQLDate, _ time: SQLTime) {
        switch date {
        case .infinity: self = .infinity
        case .negativeInfinity: self = .negativeInfinity
        default:
            let (midnight, overflow) = Int64(date.daysSince2000).multipliedReportingOverflow(
                by: ClockForm.microsecondsPerDay)
            let (moment, carry) = midnight.addingReportingOverflow(time.microseconds)
            guard !overflow, !carry else {
                self = date.daysSince2000 > 0 ? .infinity : .negativeInfinity
                return
            }
            microsecondsSince2000 = moment
        }
    }

    /// Later than every other one.
    public static var infinity: SQLTimestamp { SQLTimestamp(microsecondsSince2000: .max) }
    /// Earlier than every other one.
    public static var negativeInfinity: SQLTimestamp { SQLTimestamp(microsecondsSince2000: .min) }

    /// The moment at which a clock in UTC shows this, or the nearest that a `Date` can be.
    public var dateInUTC: Date {
        switch self {
        case .infinity: .distantFuture
        case .negativeInfinity: .distantPast
        default: (try? Date(microsecondsSince2000: microsecondsSince2000)) ?? .distantPast
        }
    }

    public static func < (a: SQLTimestamp, b: SQLTimestamp) -> Bool {
        a.microsecondsSince2000 < b.microsecondsSince2000
    }

    public static var sqlType: SQLType { .timestamp }
    public static var sqlArrayType: SQLType { .timestampArray }

    public init(sqlCell: SQLCell) throws {
        if sqlCell.isBinary, sqlCell.type == .timestamp || sqlCell.type == .timestamptz {
            microsecondsSince2000 = try sqlCell.integer()
            return
        }
        if sqlCell.isBinary, sqlCell.type == .date {
            self = SQLTimestamp(try SQLDate(sqlCell: sqlCell), .midnight)
            return
        }
        let text = try sqlCell.text(of: .timestamp, .timestamptz, .date, as: SQLTimestamp.self)
        switch text {
        case "infinity": self = .infinity
        case "-infinity": self = .negativeInfinity
        default:
            guard let moment = TimeScanner.timestamp(text) else { throw sqlCell.unreadable(SQLTimestamp.self) }
            microsecondsSince2000 = moment
        }
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: microsecondsSince2000) }
}

extension SQLTimestamp: CustomStringConvertible {
    /// `2026-11-22 20:22:45.25`, as the server prints it.
    public var description: String { TimeForm.timestamp(microsecondsSince2000, zone: "") }
}

extension SQLTimestamp: SQLRangeBound {
    public static var sqlRangeType: SQLType { .tsrange }
    public static var sqlMultirangeType: SQLType { .tsmultirange }
    public static var sqlBoundType: SQLType { .timestamp }
}

public import Foundation

/// timestamptz, to the microsecond. A timestamp or a date without a zone is read as UTC.
///
/// `infinity` and `-infinity` are `Date.distantFuture` and `Date.distantPast`, both ways.
extension Date: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .timestamptz }
    public static var sqlArrayType: SQLType { .timestamptzArray }

    @inline(__always)
    public init(sqlCell: SQLCell) throws {
        switch sqlCell.type.rawValue {
        case 1184 where sqlCell.isBinary, 1114 where sqlCell.isBinary:
            self = try Date(microsecondsSince2000: sqlCell.integer(Int64.self))
        default: self = try Date(slowly: sqlCell)
        }
    }

    @inline(never)
    private init(slowly cell: SQLCell) throws {
        if cell.isBinary && cell.type == .date {
            let days = try cell.integer(Int32.self)
            switch days {
            case .max: self = .distantFuture
            case .min: self = .distantPast
            default:
                // A date may be twenty times as far away as a timestamp.
                let (moment, overflow) = Int64(days).multipliedReportingOverflow(by: ClockForm.microsecondsPerDay)
                guard !overflow else {
                    throw SQLValueError("the date is out of a timestamp's range; take it as SQLDate")
                }
                self = try Date(microsecondsSince2000: moment)
            }
            return
        }
        guard cell.isTextual else { throw cell.unsupported(Date.self) }
        let text = try cell.plainText().trimmingSpaces()
        switch text {
        case "infinity": self = .distantFuture
        case "-infinity": self = .distantPast
        default:
            guard let moment = TimeScanner.timestamp(text) else { throw cell.unreadable(Date.self) }
            self = try Date(microsecondsSince2000: moment)
        }
    }

    private static var microsecondsFrom2000To2001: Int64 { 31_622_400_000_000 }

    @inline(__always)
    init(microsecondsSince2000 moment: Int64) throws {
        // Both are the server's words for infinity, and no moment.
        if moment == .max || moment == .min {
            self = moment == .max ? .distantFuture : .distantPast
            return
        }
        let (sinceReference, overflow) = moment.subtractingReportingOverflow(Self.microsecondsFrom2000To2001)
        guard !overflow else { throw SQLValueError("the timestamp is out of range") }
        self.init(timeIntervalSinceReferenceDate: Double(sinceReference) / 1_000_000)
    }

    /// Rounded to the nearest microsecond; throws when PostgreSQL has no such moment.
    func microsecondsSince2000() throws -> Int64 {
        if self == .distantFuture { return .max }
        if self == .distantPast { return .min }
        let exact = (timeIntervalSinceReferenceDate * 1_000_000).rounded()
        guard let moment = Int64(exactly: exact),
            case (let since2000, false) = moment.addingReportingOverflow(Self.microsecondsFrom2000To2001),
            Self.storable.contains(since2000)
        else { throw SQLValueError("the date is outside of what timestamptz holds (4713 BC to 294276 AD)") }
        return since2000
    }

    /// MIN_TIMESTAMP ..< END_TIMESTAMP of PostgreSQL's datatype/timestamp.h.
    private static var storable: Range<Int64> { -211_813_488_000_000_000..<9_223_371_331_200_000_000 }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        buffer.append(bigEndian: try microsecondsSince2000())
    }
}

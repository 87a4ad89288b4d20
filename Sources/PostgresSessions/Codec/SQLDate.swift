/// A calendar day without a time or a zone: PostgreSQL's `date`.
public struct SQLDate: Hashable, Comparable, Sendable, SQLEncodable, SQLDecodable {
    /// Days since 2000-01-01; `Int32.max` and `Int32.min` are the server's infinities.
    public var daysSince2000: Int32

    public init(daysSince2000: Int32) { self.daysSince2000 = daysSince2000 }

    /// nil when there is no such day. Years before 1 are astronomical: 0 is 1 BC.
    public init?(year: Int, month: Int, day: Int) {
        guard let civil = CivilDay(year: year, month: month, day: day), let days = Int32(exactly: civil.daysSince2000)
        else {
            return nil
        }
        daysSince2000 = days
    }

    /// Later than every other day.
    public static var infinity: SQLDate { SQLDate(daysSince2000: .max) }
    /// Earlier than every other day.
    public static var negativeInfinity: SQLDate { SQLDate(daysSince2000: .min) }

    public var year: Int { CivilDay(daysSince2000: Int(daysSince2000)).year }
    public var month: Int { CivilDay(daysSince2000: Int(daysSince2000)).month }
    public var day: Int { CivilDay(daysSince2000: Int(daysSince2000)).day }

    public static func < (a: SQLDate, b: SQLDate) -> Bool { a.daysSince2000 < b.daysSince2000 }

    public static var sqlType: SQLType { .date }
    public static var sqlArrayType: SQLType { .dateArray }

    public init(sqlCell: SQLCell) throws {
        if sqlCell.isBinary && sqlCell.type == .date {
            daysSince2000 = try sqlCell.integer()
            return
        }
        guard sqlCell.isTextual else { throw sqlCell.unsupported(SQLDate.self) }
        let text = try sqlCell.plainText().trimmingSpaces()
        switch text {
        case "infinity": self = .infinity
        case "-infinity": self = .negativeInfinity
        default:
            var scanner = TimeScanner(text)
            guard let (year, month, day) = scanner.date() else { throw sqlCell.unreadable(SQLDate.self) }
            let isBeforeChrist = scanner.beforeChrist()
            guard scanner.isAtEnd, let date = SQLDate(year: isBeforeChrist ? 1 - year : year, month: month, day: day)
            else {
                throw sqlCell.unreadable(SQLDate.self)
            }
            self = date
        }
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: daysSince2000) }
}

extension SQLDate: CustomStringConvertible {
    /// `2026-11-22`, as the server prints it.
    public var description: String { TextForm.text(of: self) }
}

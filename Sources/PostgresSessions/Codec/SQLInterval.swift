/// A span of time in the three units that do not convert into each other: PostgreSQL's `interval`.
public struct SQLInterval: Hashable, Sendable, SQLEncodable, SQLDecodable {
    public var months: Int32
    public var days: Int32
    public var microseconds: Int64

    public init(months: Int32 = 0, days: Int32 = 0, microseconds: Int64 = 0) {
        self.months = months
        self.days = days
        self.microseconds = microseconds
    }

    public static var sqlType: SQLType { .interval }
    public static var sqlArrayType: SQLType { .intervalArray }

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, sqlCell.type == .interval else {
            guard let interval = IntervalText.read(try sqlCell.text(of: .interval, as: SQLInterval.self)) else {
                throw sqlCell.unreadable(SQLInterval.self)
            }
            self = interval
            return
        }
        var reader = try ByteReader(sqlCell.bytes, count: 16)
        microseconds = try reader.integer()
        days = try reader.integer()
        months = try reader.integer()
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        buffer.append(bigEndian: microseconds)
        buffer.append(bigEndian: days)
        buffer.append(bigEndian: months)
    }
}

extension SQLInterval: CustomStringConvertible {
    /// `1 year 2 mons -3 days +04:05:06.5`, as the server prints it with IntervalStyle postgres.
    public var description: String {
        if months == .max && days == .max && microseconds == .max { return "infinity" }
        if months == .min && days == .min && microseconds == .min { return "-infinity" }
        var text = ""
        var wasNegative = false
        for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] where value != 0 {
            let sign = wasNegative && value > 0 ? "+" : ""
            text += (text.isEmpty ? "" : " ") + "\(sign)\(value) \(unit)\(value == 1 ? "" : "s")"
            wasNegative = value < 0
        }
        guard microseconds != 0 || text.isEmpty else { return text }
        let total = microseconds.magnitude
        let sign = microseconds < 0 ? "-" : wasNegative ? "+" : ""
        let parts = [total / 3_600_000_000, total / 60_000_000 % 60, total / 1_000_000 % 60].map {
            Int($0).padded(to: 2)
        }
        text += (text.isEmpty ? "" : " ") + sign + parts.joined(separator: ":")
        return text + ClockForm.fraction(Int64(total % 1_000_000))
    }
}

/// An interval without months and days, to the microsecond.
extension Duration: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .interval }
    public static var sqlArrayType: SQLType { .intervalArray }

    public init(sqlCell: SQLCell) throws {
        let interval = try SQLInterval(sqlCell: sqlCell)
        guard interval.months == 0, interval.days == 0 else {
            throw SQLValueError("the interval has months or days, whose length varies; take it as SQLInterval")
        }
        self = .microseconds(interval.microseconds)
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (total, carry) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        guard !overflow, !carry else { throw SQLValueError("the duration is longer than an interval") }
        try SQLInterval(microseconds: total).encode(into: &buffer)
    }
}

/// A time of day without a zone: PostgreSQL's `time`. 24:00 is a value of its own.
public struct SQLTime: Hashable, Comparable, Sendable, SQLEncodable, SQLDecodable {
    /// Microseconds since midnight, 0 to 86,400,000,000.
    public let microseconds: Int64

    /// nil when there is no such time.
    public init?(microseconds: Int64) {
        guard (0...ClockForm.microsecondsPerDay).contains(microseconds) else { return nil }
        self.microseconds = microseconds
    }

    /// nil when there is no such time.
    public init?(hour: Int, minute: Int, second: Int = 0, microsecond: Int = 0) {
        guard (0...24).contains(hour), (0..<60).contains(minute), (0..<60).contains(second),
            (0..<1_000_000).contains(microsecond)
        else { return nil }
        self.init(microseconds: Int64(hour * 3600 + minute * 60 + second) * 1_000_000 + Int64(microsecond))
    }

    /// The day's first moment.
    public static var midnight: SQLTime { SQLTime() }

    private init() { microseconds = 0 }

    public var hour: Int { Int(microseconds / 3_600_000_000) }
    public var minute: Int { Int(microseconds / 60_000_000 % 60) }
    public var second: Int { Int(microseconds / 1_000_000 % 60) }
    public var microsecond: Int { Int(microseconds % 1_000_000) }

    public static func < (a: SQLTime, b: SQLTime) -> Bool { a.microseconds < b.microseconds }

    public static var sqlType: SQLType { .time }
    public static var sqlArrayType: SQLType { .timeArray }

    public init(sqlCell: SQLCell) throws {
        if sqlCell.isBinary && sqlCell.type == .time {
            microseconds = try TimeForm.timeOfDay(sqlCell.integer())
            return
        }
        guard sqlCell.isTextual else { throw sqlCell.unsupported(SQLTime.self) }
        var scanner = TimeScanner(try sqlCell.plainText())
        guard let time = scanner.clock(), scanner.isAtEnd else { throw sqlCell.unreadable(SQLTime.self) }
        microseconds = time
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: microseconds) }
}

extension SQLTime: CustomStringConvertible {
    /// `20:22:45.25`, as the server prints it.
    public var description: String { ClockForm.text(microseconds: microseconds) }
}

/// A time of day with an offset from UTC: PostgreSQL's `timetz`.
public struct SQLTimeWithZone: Hashable, Sendable, SQLEncodable, SQLDecodable {
    public var time: SQLTime
    /// Seconds east of Greenwich.
    public var secondsFromGMT: Int

    public init(time: SQLTime, secondsFromGMT: Int) {
        self.time = time
        self.secondsFromGMT = secondsFromGMT
    }

    public static var sqlType: SQLType { .timetz }
    public static var sqlArrayType: SQLType { .timetzArray }

    public init(sqlCell: SQLCell) throws {
        if sqlCell.isBinary && sqlCell.type == .timetz {
            var reader = try ByteReader(sqlCell.bytes, count: 12)
            guard let time = SQLTime(microseconds: try TimeForm.timeOfDay(reader.integer())) else {
                throw sqlCell.unreadable(SQLTimeWithZone.self)
            }
            self.init(time: time, secondsFromGMT: -Int(try reader.integer(Int32.self)))  // on the wire, west counts up
            return
        }
        guard sqlCell.isTextual else { throw sqlCell.unsupported(SQLTimeWithZone.self) }
        var scanner = TimeScanner(try sqlCell.plainText())
        guard let clock = scanner.clock(), let time = SQLTime(microseconds: clock), let offset = scanner.offset(),
            scanner.isAtEnd
        else { throw sqlCell.unreadable(SQLTimeWithZone.self) }
        self.init(time: time, secondsFromGMT: offset)
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        guard secondsFromGMT.magnitude < 16 * 3600 else {
            throw SQLValueError("the offset is outside of what timetz holds")
        }
        buffer.append(bigEndian: time.microseconds)
        buffer.append(bigEndian: Int32(-secondsFromGMT))
    }
}

extension SQLTimeWithZone: CustomStringConvertible {
    /// `20:22:45+02`, as the server prints it.
    public var description: String { "\(time)\(ClockForm.offset(secondsEast: secondsFromGMT))" }
}

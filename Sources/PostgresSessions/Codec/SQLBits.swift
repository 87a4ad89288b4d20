/// A string of bits: PostgreSQL's `bit` and `varbit`.
public struct SQLBits: Hashable, Sendable, SQLEncodable, SQLDecodable {
    /// How many bits.
    public let count: Int
    /// The bits from the left, padded with zeros to whole bytes.
    public let bytes: [UInt8]

    public init(_ bits: some Sequence<Bool>) {
        var bytes: [UInt8] = []
        var count = 0
        for bit in bits {
            if count % 8 == 0 { bytes.append(0) }
            if bit { bytes[count / 8] |= 0x80 >> UInt8(count % 8) }
            count += 1
        }
        self.count = count
        self.bytes = bytes
    }

    /// A bit by its place from the left.
    public subscript(index: Int) -> Bool {
        precondition(index >= 0 && index < count, "bit \(index) of \(count)")
        return bytes[index / 8] & (0x80 >> UInt8(index % 8)) != 0
    }

    public static var sqlType: SQLType { .varbit }
    public static var sqlArrayType: SQLType { .varbitArray }

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, sqlCell.type == .bit || sqlCell.type == .varbit else {
            let digits = try sqlCell.text(of: .bit, .varbit, as: SQLBits.self).utf8
            guard digits.allSatisfy({ $0 | 1 == UInt8(ascii: "1") }) else { throw sqlCell.unreadable(SQLBits.self) }
            self = SQLBits(digits.map { $0 == UInt8(ascii: "1") })
            return
        }
        var reader = ByteReader(sqlCell.bytes)
        let count = Int(try reader.integer(Int32.self))
        guard count >= 0, reader.remaining == (count + 7) / 8 else {
            throw SQLValueError("a bit string whose length does not match its bits")
        }
        self.init(count: count, bytes: Array(try reader.take(reader.remaining)))
    }

    private init(count: Int, bytes: [UInt8]) { (self.count, self.bytes) = (count, bytes) }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        guard let count = Int32(exactly: count) else { throw SQLValueError("too many bits") }
        buffer.append(bigEndian: count)
        buffer.append(bytes)
    }
}

extension SQLBits: CustomStringConvertible {
    /// `0101`
    public var description: String { String((0..<count).map { self[$0] ? "1" as Character : "0" }) }
}

/// PostgreSQL's `money`: a whole number of the smallest unit of the server's `lc_monetary`, cents where there are cents.
public struct SQLMoney: Hashable, Comparable, Sendable, SQLEncodable, SQLDecodable {
    public var smallestUnits: Int64

    public init(smallestUnits: Int64) { self.smallestUnits = smallestUnits }

    public static func < (a: SQLMoney, b: SQLMoney) -> Bool { a.smallestUnits < b.smallestUnits }

    public static var sqlType: SQLType { .money }
    public static var sqlArrayType: SQLType { .moneyArray }

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, sqlCell.type == .money else {
            smallestUnits = try Self.units(in: sqlCell)
            return
        }
        smallestUnits = try sqlCell.integer()
    }

    /// `-$1,234.56`, `(1.234,56 €)`: every locale prints all digits down to the smallest unit, and a minus or parentheses.
    private static func units(in cell: SQLCell) throws -> Int64 {
        guard !cell.isBinary, cell.type == .money else { throw cell.unsupported(SQLMoney.self) }
        let text = try cell.utf8().utf8
        let digits = String(decoding: text.filter { (48...57).contains($0) }, as: UTF8.self)
        let isNegative = text.contains(UInt8(ascii: "-")) || text.contains(UInt8(ascii: "("))
        guard let units = Int64((isNegative ? "-" : "") + digits) else { throw cell.unreadable(SQLMoney.self) }
        return units
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: smallestUnits) }
}

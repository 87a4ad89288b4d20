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
            throw sqlCell.unsupported(SQLBits.self)
        }
        var reader = ByteReader(sqlCell.bytes)
        count = Int(try reader.integer(Int32.self))
        guard count >= 0, reader.remaining == (count + 7) / 8 else {
            throw SQLValueError("a bit string whose length does not match its bits")
        }
        bytes = Array(try reader.take(reader.remaining))
    }

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
        guard sqlCell.isBinary, sqlCell.type == .money else { throw sqlCell.unsupported(SQLMoney.self) }
        smallestUnits = try sqlCell.integer()
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: smallestUnits) }
}

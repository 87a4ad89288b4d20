extension Bool: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .bool }
    public static var sqlArrayType: SQLType { .boolArray }

    public init(sqlCell: SQLCell) throws {
        if sqlCell.isBinary && sqlCell.type == .bool {
            self = try sqlCell.integer(UInt8.self) != 0
            return
        }
        guard sqlCell.isTextual else { throw sqlCell.unsupported(Bool.self) }
        // The words that PostgreSQL's own input function takes.
        switch try sqlCell.plainText().trimmingSpaces().lowercased() {
        case "t", "true", "y", "yes", "on", "1": self = true
        case "f", "false", "n", "no", "off", "0": self = false
        default: throw sqlCell.unreadable(Bool.self)
        }
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(bigEndian: UInt8(self ? 1 : 0)) }
}

// Text goes out without a type, so that the server infers it: the same String fits text, enums, citext, jsonb, dates.
// Any type comes in as what the server's `::text` would print, as far as this library knows the type.

extension String: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .unknown }
    public static var sqlFormat: SQLFormat { .text }

    @inline(__always)
    public init(sqlCell: SQLCell) throws {
        switch sqlCell.type.rawValue {
        case 25, 1043:
            guard let text = sqlCell.bytes.validUTF8 else { fallthrough }
            self = text
        default: self = try TextForm.render(sqlCell)
        }
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(text: self) }
}

extension Substring: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .unknown }
    public static var sqlFormat: SQLFormat { .text }
    public init(sqlCell: SQLCell) throws { self = Substring(try String(sqlCell: sqlCell)) }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(text: self) }
}

extension Character: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .unknown }
    public static var sqlFormat: SQLFormat { .text }
    public init(sqlCell: SQLCell) throws {
        let text = try String(sqlCell: sqlCell)
        guard let first = text.first, text.count == 1 else { throw SQLValueError("the text is not one character") }
        self = first
    }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(text: String(self)) }
}

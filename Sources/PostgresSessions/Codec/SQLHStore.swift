/// The pairs of an `hstore`, the extension's type: keys with values that may be NULL.
///
/// Bound as text, since the extension's type has another id in each database.
public struct SQLHStore: Hashable, Sendable, SQLEncodable, SQLDecodable {
    public var pairs: [String: String?]

    public init(_ pairs: [String: String?]) { self.pairs = pairs }

    public subscript(key: String) -> String? { pairs[key] ?? nil }

    public static var sqlType: SQLType { .unknown }
    public static var sqlFormat: SQLFormat { .text }

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, sqlCell.kind == .hstore else {
            guard sqlCell.isTextual, sqlCell.kind == .hstore || !sqlCell.type.isOfDatabase else {
                throw sqlCell.unsupported(SQLHStore.self)
            }
            pairs = try Self.pairs(in: sqlCell)
            return
        }
        var reader = ByteReader(sqlCell.bytes)
        let count = Int(try reader.integer(Int32.self))
        guard count >= 0, count <= reader.remaining / 8 else { throw SQLValueError("an hstore of \(count) pairs") }
        var pairs: [String: String?] = [:]
        for _ in 0..<count {
            guard let key = try reader.counted()?.validUTF8 else {
                throw SQLValueError("an hstore with an unreadable key")
            }
            guard let bytes = try reader.counted() else {
                pairs[key] = .some(nil)
                continue
            }
            guard let value = bytes.validUTF8 else { throw SQLValueError("an hstore with a value that is not UTF-8") }
            pairs[key] = value
        }
        guard reader.remaining == 0 else { throw SQLValueError("an hstore with \(reader.remaining) bytes too many") }
        self.pairs = pairs
    }

    /// `"a"=>"b", "c"=>NULL`
    private static func pairs(in cell: SQLCell) throws -> [String: String?] {
        var reader = QuotedTextReader(cell.bytes)
        var pairs: [String: String?] = [:]
        func word() throws -> String {
            let bytes = try reader.quotedWord()
            guard let word = bytes.withUnsafeBytes({ $0.validUTF8 }) else {
                throw SQLValueError("the text is not valid UTF-8")
            }
            return word
        }
        while !reader.isAtEnd {
            let key = try word()
            guard reader.takeWord("=>") else { throw SQLValueError("a key of the hstore's text has no value") }
            pairs[key] = .some(reader.takeWord("NULL") ? nil : try word())
            guard reader.isAtEnd || reader.takeWord(", ") else { throw SQLValueError("the hstore's text has no comma") }
        }
        return pairs
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        buffer.append(text: text(separator: ","))
    }

    /// In the order of the keys, so that equal values have equal text.
    func text(separator: String) -> String {
        pairs.sorted { ($0.key.utf8.count, $0.key) < ($1.key.utf8.count, $1.key) }.map { key, value in
            "\(Self.quoted(key))=>\(value.map { Self.quoted($0) } ?? "NULL")"
        }.joined(separator: separator)
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.escaping("\"\\", with: { _ in UInt8(ascii: "\\") }) + "\""
    }
}

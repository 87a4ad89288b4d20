/// A composite value or a record: its fields in order. PostgreSQL does not send their names.
///
/// An Int32 count, then for each field its type, and its bytes behind their length (`record_send` in rowtypes.c).
struct CompositeFields {
    private let fields: [SQLCell?]
    /// What the fields point into, where they came as text.
    private var text: TextParts?
    /// Used up from the front: a synthesized `init(from:)` asks in the order of declaration, which is the fields' order.
    private var keys: [String] = []

    init(_ cell: SQLCell) throws {
        if cell.isBinary { try self.init(binary: cell) } else { try self.init(text: cell) }
    }

    private init(text cell: SQLCell) throws {
        let values = try CompositeText.fields(cell.bytes)
        let types = cell.fieldTypes ?? []
        guard types.isEmpty || types.count == values.count else {
            cell.form.catalog?.doubt(cell.type)
            throw SQLValueError("the composite has \(values.count) fields, and its type had \(types.count): ask again")
        }
        let parts = TextParts(values) { cell.part($1, types.isEmpty ? .unknown : types[$0]) }
        fields = (0..<parts.count).map { parts.cell($0) }
        text = parts
    }

    private init(binary cell: SQLCell) throws {
        var reader = ByteReader(cell.bytes)
        let count = Int(try reader.integer(Int32.self))
        guard count >= 0, count <= reader.remaining / 8 else { throw SQLValueError("a composite of \(count) fields") }
        var fields: [SQLCell?] = []
        for _ in 0..<count {
            let type = SQLType(rawValue: try reader.integer(UInt32.self))
            fields.append(try reader.counted().map { cell.part($0, type) })
        }
        guard reader.remaining == 0 else { throw SQLValueError("a composite with \(reader.remaining) bytes too many") }
        self.fields = fields
    }

    var count: Int { fields.count }

    func field(_ index: Int) throws -> SQLCell? {
        guard index < fields.count else {
            throw SQLValueError("the composite has \(fields.count) fields, and a field \(index + 1) is wanted")
        }
        return fields[index]
    }

    /// The next field for a key that was not seen before, the same one for a key that was.
    mutating func field(_ key: String) throws -> SQLCell? {
        let index = keys.firstIndex(of: key) ?? keys.count
        if index == keys.count { keys.append(key) }
        return try field(index)
    }
}

/// A composite's fields by coding keys, in order of declaration.
///
/// Its bytes are alive as long as the value that is being decoded: `decoder` is asked before each access.
final class CompositeContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let decoder: CellDecoder
    private let value: Int
    private var fields: CompositeFields

    init(_ fields: CompositeFields, _ decoder: CellDecoder) {
        self.fields = fields
        self.decoder = decoder
        value = decoder.current
    }

    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { [] }

    private func field(_ key: Key) throws -> SQLCell? {
        try decoder.requireOpen(value)
        return try fields.field(key.stringValue)
    }

    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) throws -> Bool { try field(key) == nil }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        let field = try field(key)
        do {
            return try withExtendedLifetime(fields) { try decoder.decodePart(type, from: field) }
        } catch let error as SQLValueError {
            throw SQLValueError("field \"\(key.stringValue)\": \(error.reason)")
        }
    }
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        try field(key) == nil ? nil : try decode(type, forKey: key)
    }
    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        throw SQLValueError("a composite's field is decoded as a whole")
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        throw SQLValueError("a composite's field is decoded as a whole")
    }
    func superDecoder() throws -> any Decoder { throw SQLValueError("a composite has no super") }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw SQLValueError("a composite has no super") }
}

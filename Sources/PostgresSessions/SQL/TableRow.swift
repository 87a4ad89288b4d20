/// One value of a table's struct as columns and bound values.
///
/// Values with a codec are bound by it; enums with raw values as their raw value; every other `Encodable` as jsonb.
struct TableRow<T: Table> {
    struct Field {
        var column: String
        /// A fragment of one parameter.
        var value: SQLQuery
        var isNull: Bool
        var isKey: Bool
    }

    private(set) var fields: [Field] = []
    /// Why the row cannot be written, if it cannot.
    private(set) var refusal: String?

    init(_ row: T) {
        let recorder = FieldRecorder()
        do {
            try row.encode(to: recorder)
        } catch {
            refusal = "\(T.self): \((error as? SQLValueError)?.reason ?? "its encoding threw \(type(of: error))")"
        }
        for (key, value) in recorder.fields {
            let column = T.columnName(forKey: key)
            let isKey = T.primaryKey.contains(column)
            guard isKey || !T.generatedColumns.contains(column) else { continue }
            fields.append(Field(column: column, value: value.query, isNull: value.isNull, isKey: isKey))
        }
        if recorder.fields.isEmpty && refusal == nil { refusal = "\(T.self): it encodes no column" }
    }

    /// What an update sets: where there is nothing besides the key, the key, to what it is.
    var changing: [Field] {
        let others = fields.filter { !$0.isKey }
        return others.isEmpty ? fields : others
    }
}

/// One bound value.
struct BoundField {
    var query: SQLQuery
    var isNull: Bool

    static var null: BoundField {
        var query = SQLQuery()
        query.bindNull(.unknown)
        return BoundField(query: query, isNull: true)
    }

    static func value<V: SQLEncodable>(_ value: V) -> BoundField {
        BoundField(query: "\(value)", isNull: value.isSQLNull)
    }

    static func any(_ value: some Encodable) throws -> BoundField {
        if let value = value as? any SQLEncodable { return Self.value(value) }
        let recorder = SingleValueRecorder()
        do {
            try value.encode(to: recorder)
        } catch is SingleValueRecorder.HasParts {
            return BoundField(query: "\(json: value)", isNull: false)
        }
        return recorder.value ?? BoundField(query: "\(json: value)", isNull: false)
    }
}

/// Records what a row's type encodes, by key.
private final class FieldRecorder: Encoder {
    var fields: [(key: String, value: BoundField)] = []
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(Keyed<Key>(recorder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer { NoParts() }
    func singleValueContainer() -> any SingleValueEncodingContainer { NoParts() }

    private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
        let recorder: FieldRecorder
        var codingPath: [any CodingKey] { [] }

        private func record(_ key: Key, _ value: BoundField) { recorder.fields.append((key.stringValue, value)) }

        mutating func encodeNil(forKey key: Key) throws { record(key, .null) }
        mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws { record(key, try .any(value)) }

        // The standard implementations leave nil out; a column of nil is NULL.
        private func optional<V: SQLEncodable>(_ value: V?, _ key: Key) {
            record(key, value.map { .value($0) } ?? .null)
        }
        mutating func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: String?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: Double?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: Float?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: Int?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: Int8?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: Int16?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: Int32?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: Int64?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: UInt?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws { optional(value, key) }
        mutating func encodeIfPresent<T: Encodable>(_ value: T?, forKey key: Key) throws {
            record(key, try value.map { try .any($0) } ?? .null)
        }

        mutating func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type, forKey key: Key
        ) -> KeyedEncodingContainer<Nested> {
            KeyedEncodingContainer(NoKeys<Nested>())
        }
        mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { NoParts() }
        mutating func superEncoder() -> any Encoder { recorder }
        mutating func superEncoder(forKey key: Key) -> any Encoder { recorder }
    }
}

/// Takes one single value; a type that has parts throws ``HasParts`` at its first part.
private final class SingleValueRecorder: Encoder, SingleValueEncodingContainer {
    struct HasParts: Error {}

    var value: BoundField?
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(NoKeys<Key>())
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer { NoParts() }
    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func encodeNil() throws { value = .null }
    func encode<T: Encodable>(_ value: T) throws { self.value = try .any(value) }
}

/// Refuses every part, so that the value is encoded as JSON instead.
private struct NoKeys<Key: CodingKey>: KeyedEncodingContainerProtocol {
    var codingPath: [any CodingKey] { [] }
    mutating func encodeNil(forKey key: Key) throws { throw SingleValueRecorder.HasParts() }
    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws { throw SingleValueRecorder.HasParts() }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        KeyedEncodingContainer(NoKeys<Nested>())
    }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { NoParts() }
    mutating func superEncoder() -> any Encoder { SingleValueRecorder() }
    mutating func superEncoder(forKey key: Key) -> any Encoder { SingleValueRecorder() }
}

/// Refuses every part, so that the value is encoded as JSON instead.
private struct NoParts: UnkeyedEncodingContainer, SingleValueEncodingContainer {
    var codingPath: [any CodingKey] { [] }
    var count: Int { 0 }
    mutating func encodeNil() throws { throw SingleValueRecorder.HasParts() }
    mutating func encode<T: Encodable>(_ value: T) throws { throw SingleValueRecorder.HasParts() }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        KeyedEncodingContainer(NoKeys<Nested>())
    }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { NoParts() }
    mutating func superEncoder() -> any Encoder { SingleValueRecorder() }
}

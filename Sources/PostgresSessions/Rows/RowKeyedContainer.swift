/// A row's columns by coding key. Each key's column is looked up once per result.
///
/// A class, so that the standard library's box around it copies one reference and no more.
final class RowKeyedContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let reader: ColumnReader
    private let keys: KeyTable
    private let isOneByte = _isPOD(Key.self) && MemoryLayout<Key>.size == 1

    init(_ reader: ColumnReader) {
        self.reader = reader
        keys = KeyTable(reader.cells.columns)
    }

    /// The key's column; negative when there is none.
    @inline(__always)
    private func find(_ key: Key) -> Int {
        if isOneByte {
            // One byte, no references: equal bits are equal keys.
            let bits = withUnsafePointer(to: key) { UnsafeRawPointer($0).load(as: UInt8.self) }
            let known = keys.column(bits: bits)
            return known == KeyTable.unresolved ? keys.resolve(bits: bits, key.stringValue) : known
        }
        return keys.column(named: key.stringValue)
    }

    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { reader.cells.columns.names.compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { find(key) >= 0 }

    func decodeNil(forKey key: Key) throws -> Bool { try reader.cells.isNull(column(key)) }

    @inline(__always)
    private func column(_ key: Key) throws -> Int {
        let column = find(key)
        if column < 0 { throw missing(key) }
        return column
    }

    @inline(never)
    private func missing(_ key: Key) -> SQLValueError {
        reader.cells.current = -1
        return SQLValueError(
            "there is no column \"\(key.stringValue)\"; the result has \(reader.cells.columns.description)")
    }

    @inline(__always)
    private func read<V: SQLDecodable>(_ key: Key, _ type: V.Type) throws -> V {
        try reader.read(type, at: try column(key))
    }

    @inline(__always)
    private func readIfPresent<V: SQLDecodable>(_ key: Key, _ type: V.Type) throws -> V? {
        let column = find(key)
        return column < 0 ? nil : try reader.read(V?.self, at: column)
    }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try reader.readAny(type, at: try column(key))
    }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        let column = find(key)
        if try column < 0 || reader.cells.isNull(column) { return nil }
        return try reader.readAny(type, at: column)
    }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try read(key, type) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try read(key, type) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try read(key, type) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try read(key, type) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try read(key, type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try read(key, type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try read(key, type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try read(key, type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try read(key, type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try read(key, type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try read(key, type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try read(key, type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try read(key, type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try read(key, type) }

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { try readIfPresent(key, type) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try readIfPresent(key, type) }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try superDecoder(forKey: key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try superDecoder(forKey: key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { StructDecoder(reader) }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        try reader.readAny(AnyParts.self, at: column(key)).decoder
    }
}

/// The decoder of one column's content, for types that open containers in it by hand.
private struct AnyParts: Decodable {
    let decoder: any Decoder
    init(from decoder: any Decoder) throws { self.decoder = decoder }
}

/// Which column each key means.
///
/// The coding keys that the compiler writes are enums of one byte: their bits are the index into a table. Other keys are
/// looked up by their string.
private final class KeyTable {
    private let columns: RowColumns
    private let byBits: UnsafeMutablePointer<Int>
    private var byName: [String: Int] = [:]

    static var unresolved: Int { -2 }

    init(_ columns: RowColumns) {
        self.columns = columns
        byBits = .allocate(capacity: 256)
        byBits.initialize(repeating: Self.unresolved, count: 256)
    }

    deinit { byBits.deallocate() }

    @inline(__always)
    func column(bits: UInt8) -> Int { byBits[Int(bits)] }

    @inline(never)
    func resolve(bits: UInt8, _ name: String) -> Int {
        let column = columns.index(forKey: name) ?? -1
        byBits[Int(bits)] = column
        return column
    }

    func column(named name: String) -> Int {
        if let known = byName[name] { return known }
        let column = columns.index(forKey: name) ?? -1
        byName[name] = column
        return column
    }
}

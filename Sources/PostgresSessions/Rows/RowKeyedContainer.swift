import Foundation

/// A row's columns by coding key. Each key's column is looked up once per result.
struct RowKeyedContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let slot: ContainerSlot.Pointer
    private let generation: UInt

    init(_ slot: ContainerSlot.Pointer) {
        self.slot = slot
        generation = slot.pointee.generation
    }

    /// Throws when the container has outlived its decoder.
    @inline(__always)
    private func cells() throws -> CellReader {
        guard slot.pointee.generation == generation else { throw CellReader.late }
        return slot.pointee.cells
    }

    /// The key's column; negative when there is none. Only after `cells()`.
    @inline(__always)
    private func find(_ key: Key) -> Int {
        guard _isPOD(Key.self), MemoryLayout<Key>.size == 1 else { return slot.pointee.column(named: key.stringValue) }
        // One byte, no references: equal bits are equal keys.
        let bits = unsafeBitCast(key, to: UInt8.self)
        let known = slot.pointee.column(bits: bits)
        return known == ContainerSlot.unresolved ? slot.pointee.resolve(bits: bits, key.stringValue) : known
    }

    /// The key's column, which has to be there.
    @inline(__always)
    private func locate(_ key: Key) throws -> (cells: CellReader, column: Int) {
        let cells = try cells()
        let column = find(key)
        if column < 0 { throw cells.missing(key.stringValue) }
        return (cells, column)
    }

    @inline(__always)
    private func read<V: SQLDecodable>(_ key: Key, _ type: V.Type) throws -> V {
        let (cells, column) = try locate(key)
        return try cells.read(type, at: column)
    }

    @inline(__always)
    private func readIfPresent<V: SQLDecodable>(_ key: Key, _ type: V.Type) throws -> V? {
        let cells = try cells()
        let column = find(key)
        return column < 0 ? nil : try cells.read(V?.self, at: column)
    }

    @inline(__always)
    private func readAny<T: Decodable>(_ type: T.Type, at column: Int) throws -> T {
        if type == Date.self { return unsafeBitCast(try slot.pointee.cells.read(Date.self, at: column), to: T.self) }
        return try slot.pointee.columns.takeUnretainedValue().read(type, at: column)
    }

    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { (try? cells().columns.names.compactMap { Key(stringValue: $0) }) ?? [] }

    func contains(_ key: Key) -> Bool { (try? cells()) != nil && find(key) >= 0 }

    func decodeNil(forKey key: Key) throws -> Bool {
        let (cells, column) = try locate(key)
        return try cells.cell(column) == nil
    }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        let column = try locate(key).column
        return try readAny(type, at: column)
    }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        let cells = try cells()
        let column = find(key)
        guard column >= 0, let cell = try cells.cell(column), !cell.isJSON || !cell.isJSONNull else { return nil }
        return try readAny(type, at: column)
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

    func superDecoder() throws -> any Decoder {
        _ = try cells()
        guard let decoder = slot.pointee.decoder else { throw CellReader.late }
        return decoder
    }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        let column = try locate(key).column
        return try slot.pointee.columns.takeUnretainedValue().decoder(at: column)
    }
}

/// The only column of a row, where it is not NULL, for types that decode from a single value: `as: Mood.self` for an enum with a raw value.
struct SingleColumnContainer: SingleValueDecodingContainer {
    private let reader: ColumnReader

    init(_ reader: ColumnReader) { self.reader = reader }

    var codingPath: [any CodingKey] { [] }

    func decodeNil() -> Bool { false }

    func decode(_ type: Bool.Type) throws -> Bool { try reader.cells.read(type, at: 0) }
    func decode(_ type: String.Type) throws -> String { try reader.cells.read(type, at: 0) }
    func decode(_ type: Double.Type) throws -> Double { try reader.cells.read(type, at: 0) }
    func decode(_ type: Float.Type) throws -> Float { try reader.cells.read(type, at: 0) }
    func decode(_ type: Int.Type) throws -> Int { try reader.cells.read(type, at: 0) }
    func decode(_ type: Int8.Type) throws -> Int8 { try reader.cells.read(type, at: 0) }
    func decode(_ type: Int16.Type) throws -> Int16 { try reader.cells.read(type, at: 0) }
    func decode(_ type: Int32.Type) throws -> Int32 { try reader.cells.read(type, at: 0) }
    func decode(_ type: Int64.Type) throws -> Int64 { try reader.cells.read(type, at: 0) }
    func decode(_ type: UInt.Type) throws -> UInt { try reader.cells.read(type, at: 0) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try reader.cells.read(type, at: 0) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try reader.cells.read(type, at: 0) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try reader.cells.read(type, at: 0) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try reader.cells.read(type, at: 0) }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try reader.read(type, at: 0) }
}

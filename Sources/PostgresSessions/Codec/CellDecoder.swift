import Foundation

/// Decodes any `Decodable` from one cell: json and jsonb by their content, everything else as a single value.
///
/// Lives as long as one value is decoded: a decoder that was kept for later throws, and never reads freed memory.
final class CellDecoder: Decoder {
    private enum Content {
        case value(SQLCell)
        case null
        case over
    }

    private var content: Content = .over
    /// The numbers of the values that are being decoded, one inside the other.
    private var open: [Int] = []
    private var serial = 0
    /// A copy of the value's bytes, and what else a cell takes to be alive, for a decoder that lives on its own.
    private var kept: (bytes: UnsafeMutableRawBufferPointer, owner: AnyObject)?
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init() {}

    /// The decoder of one value, for types that open containers in it by hand. `owner` keeps the cell's catalog alive.
    init(keeping cell: SQLCell, of owner: AnyObject) {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: cell.bytes.count, alignment: 8)
        bytes.copyMemory(from: cell.bytes)
        kept = (bytes, owner)
        content = .value(SQLCell(bytes: UnsafeRawBufferPointer(bytes), type: cell.type, form: cell.form))
        open = [0]
    }

    /// The decoder of NULL.
    static func ofNull() -> CellDecoder {
        let decoder = CellDecoder()
        decoder.content = .null
        return decoder
    }

    deinit { kept?.bytes.deallocate() }

    static func decode<T: Decodable>(_ type: T.Type, from cell: SQLCell) throws -> T {
        try CellDecoder().decode(type, from: cell)
    }

    /// Decodes one value; nil stands for NULL. The decoder may be used again for the next one.
    func decode<T: Decodable>(_ type: T.Type, from cell: SQLCell?) throws -> T {
        if let cell, cell.isJSON { return try Self.decodeJSON(type, from: cell) }
        let outer = content
        content = cell.map { .value($0) } ?? .null
        serial += 1
        open.append(serial)
        defer {
            content = outer
            open.removeLast()
        }
        do {
            return try T(from: self)
        } catch let error as DecodingError {
            throw SQLValueError(DecodingFailure.reason(of: error))
        }
    }

    /// Decodes json or jsonb into `T`, which must be `Decodable` after all.
    static func decodeJSON<T>(_ type: T.Type, from cell: SQLCell) throws -> T {
        guard let decodable = T.self as? any Decodable.Type else { throw cell.unsupported(T.self) }
        do {
            return try JSONForm.decoder.decode(decodable, from: Data(try JSONForm.textBytes(cell))) as! T
        } catch let error as DecodingError {
            throw SQLValueError("its JSON does not fit: " + DecodingFailure.reason(of: error))
        }
    }

    /// Decodes a part of the value: by its codec if it has one.
    func decodePart<T: Decodable>(_ type: T.Type, from cell: SQLCell?) throws -> T {
        guard let sql = type as? any SQLDecodable.Type else {
            do {
                return try decode(type, from: cell)
            } catch {
                throw cell == nil ? SQLValueError.null(type) : error
            }
        }
        return try Self.value(sql, from: cell) as! T
    }

    private static func value<V: SQLDecodable>(_ type: V.Type, from cell: SQLCell?) throws -> V {
        if let cell { return try V(sqlCell: cell) }
        guard let null = V.sqlNull else { throw SQLValueError("the value is NULL") }
        return null
    }

    /// The number of the value that is being decoded.
    var current: Int { open.last ?? 0 }

    /// Throws when the value of this number is not being decoded any more: its bytes may be gone.
    func requireOpen(_ value: Int) throws {
        guard open.contains(value) else { throw SQLValueError("the decoder was used after its value was decoded") }
    }

    fileprivate func cell() throws -> SQLCell? {
        switch content {
        case .value(let cell): return cell
        case .null: return nil
        case .over: throw SQLValueError("the decoder was used after its value was decoded")
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        if let cell = try cell(), cell.fieldTypes != nil {
            return KeyedDecodingContainer(CompositeContainer<Key>(try CompositeFields(cell), self))
        }
        return try throughJSON().container(keyedBy: type)
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        if let cell = try cell(), cell.isArray { return try ArrayContainer(cell, self) }
        return try throughJSON().unkeyedContainer()
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    private func throughJSON() throws -> any Decoder {
        guard let cell = try cell() else { throw SQLValueError("the value is NULL") }
        guard cell.isJSON else {
            guard !cell.type.isOfDatabase || cell.kind != nil else { throw cell.unsupported((any Decodable).self) }
            throw SQLValueError(
                "\(cell.typeName) has no parts to decode; only json, jsonb, arrays and composite types have")
        }
        return try Self.decodeJSON(JSONParts.self, from: cell).decoder
    }

    /// JSONDecoder hands out its decoder only from inside.
    private struct JSONParts: Decodable {
        let decoder: any Decoder
        init(from decoder: any Decoder) throws { self.decoder = decoder }
    }
}

extension CellDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool {
        if case .null = content { true } else { false }
    }

    private func read<V: SQLDecodable>(_ type: V.Type) throws -> V {
        if let cell = try cell() { return try V(sqlCell: cell) }
        guard let null = V.sqlNull else { throw SQLValueError("the value is NULL") }
        return null
    }

    func decode(_ type: Bool.Type) throws -> Bool { try read(type) }
    func decode(_ type: String.Type) throws -> String { try read(type) }
    func decode(_ type: Double.Type) throws -> Double { try read(type) }
    func decode(_ type: Float.Type) throws -> Float { try read(type) }
    func decode(_ type: Int.Type) throws -> Int { try read(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try read(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try read(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try read(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try read(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try read(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try read(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try read(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try read(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try read(type) }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        if let sql = T.self as? any SQLDecodable.Type { return try read(sql) as! T }
        return try T(from: self)
    }
}

extension DecodingFailure {
    /// What a coder says went wrong, without the values that its own description quotes.
    static func reason(of error: DecodingError) -> String {
        func place(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? "" : " at \(path)"
        }
        switch error {
        case .keyNotFound(let key, let context): return "there is no key \"\(key.stringValue)\"" + place(context)
        case .valueNotFound(let type, let context): return "\(type) is wanted, and null is there" + place(context)
        case .typeMismatch(let type, let context): return "there is no \(type)" + place(context)
        case .dataCorrupted(let context): return "the value is none that the type takes" + place(context)
        @unknown default: return "the value is none that the type takes"
        }
    }
}

internal import PostgresWire
import Foundation
import Synchronization

/// The columns of a table's struct, found out once per type by letting it decode from a decoder that only listens.
enum TableColumns {
    private static let known = Mutex<[ObjectIdentifier: [String]?]>([:])

    /// In the order in which the type decodes them; nil when the type gives up on the stand-in values that it is handed
    /// (an enum with raw values that is not `CaseIterable` does): `SELECT *` serves such types just as well.
    static func of<T: Table>(_ type: T.Type) -> [String]? {
        let id = ObjectIdentifier(type)
        if let found = known.withLock({ $0[id] }) { return found }
        let found = discover(type)
        known.withLock { $0[id] = .some(found) }
        return found
    }

    private static func discover<T: Table>(_ type: T.Type) -> [String]? {
        let listener = KeyListener()
        guard (try? T(from: listener)) != nil, !listener.keys.isEmpty else { return nil }
        var columns: [String] = []
        for key in listener.keys {
            let column = T.columnName(forKey: key)
            if !columns.contains(column) { columns.append(column) }
        }
        return columns
    }
}

/// Hands out stand-in values and remembers the keys that were asked for.
private final class KeyListener: Decoder {
    var keys: [String] = []
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(Keyed<Key>(listener: self))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { Empty() }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { Single() }

    private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
        let listener: KeyListener
        var codingPath: [any CodingKey] { [] }
        var allKeys: [Key] { [] }

        func contains(_ key: Key) -> Bool {
            listener.keys.append(key.stringValue)
            return true
        }
        func decodeNil(forKey key: Key) throws -> Bool { contains(key) }
        func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
            _ = contains(key)
            return try StandIn.value(type)
        }
        func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
            _ = contains(key)
            return nil
        }
        func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type, forKey key: Key
        ) throws -> KeyedDecodingContainer<Nested> {
            try superDecoder(forKey: key).container(keyedBy: type)
        }
        func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
            _ = contains(key)
            return Empty()
        }
        func superDecoder() throws -> any Decoder { listener }
        func superDecoder(forKey key: Key) throws -> any Decoder {
            _ = contains(key)
            return KeyListener()
        }
    }

    private struct Single: SingleValueDecodingContainer {
        var codingPath: [any CodingKey] { [] }
        func decodeNil() -> Bool { true }
        func decode<T: Decodable>(_ type: T.Type) throws -> T { try StandIn.value(type) }
    }

    private struct Empty: UnkeyedDecodingContainer {
        var codingPath: [any CodingKey] { [] }
        var count: Int? { 0 }
        var isAtEnd: Bool { true }
        var currentIndex: Int { 0 }
        mutating func decodeNil() throws -> Bool { true }
        mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try StandIn.value(type) }
        mutating func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type
        ) throws -> KeyedDecodingContainer<Nested> {
            try KeyListener().container(keyedBy: type)
        }
        mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { Empty() }
        mutating func superDecoder() throws -> any Decoder { KeyListener() }
    }
}

private enum StandIn {
    /// Some value of a type, to keep its owner decoding.
    static func value<T: Decodable>(_ type: T.Type) throws -> T {
        if let simple = simple(type) { return simple }
        if let optional = type as? any ExpressibleByNilLiteral.Type { return optional.init(nilLiteral: ()) as! T }
        if let cases = type as? any CaseIterable.Type, let first = first(of: cases) as? T { return first }
        return try T(from: KeyListener())
    }

    private static func simple<T>(_ type: T.Type) -> T? {
        let values: [Any] = [
            "", 0, Int64(0), Int32(0), Int16(0), Int8(0), UInt(0), UInt64(0), UInt32(0), UInt16(0), UInt8(0), 0.0,
            Float(0), false,
        ]
        for value in values where Swift.type(of: value) == type { return value as? T }
        let rich: [Any] = [Date(timeIntervalSince1970: 0), UUID(), Decimal(0), Data(), URL(fileURLWithPath: "/")]
        return rich.first { Swift.type(of: $0) == type } as? T
    }

    private static func first<C: CaseIterable>(of type: C.Type) -> Any? { type.allCases.first }
}

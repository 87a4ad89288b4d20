/// An array's elements for types that are `Decodable` and have no codec: `[Stop]`, `Set<String>`.
///
/// Its bytes are alive as long as the value that is being decoded: `decoder` is asked before each access.
struct ArrayContainer: UnkeyedDecodingContainer {
    private let decoder: CellDecoder
    private let value: Int
    private var elements: Elements
    private let length: Int
    private(set) var currentIndex = 0
    /// An element that was looked at, and not taken.
    private var peeked: SQLCell??

    private enum Elements {
        case binary(BinaryArrayReader)
        case text(TextParts)
    }

    init(_ cell: SQLCell, _ decoder: CellDecoder) throws {
        if cell.isBinary {
            let reader = try BinaryArrayReader(cell)
            guard reader.dimensions.count <= 1 else { throw Self.tooDeep }
            length = reader.dimensions.first ?? 0
            elements = .binary(reader)
        } else {
            let text = try ArrayText(cell)
            let parts = TextParts(try text.values { throw Self.tooDeep }) { _, bytes in text.element.cell(bytes) }
            length = parts.count
            elements = .text(parts)
        }
        self.decoder = decoder
        value = decoder.current
    }

    private static var tooDeep: SQLValueError {
        SQLValueError("the array has several dimensions; only types with a codec can be nested")
    }

    var codingPath: [any CodingKey] { [] }
    var count: Int? { length }
    var isAtEnd: Bool { currentIndex >= length }

    private mutating func peek() throws -> SQLCell? {
        try decoder.requireOpen(value)
        guard !isAtEnd else { throw SQLValueError("the array has \(length) elements, and one more is wanted") }
        if let peeked { return peeked }
        let cell: SQLCell?
        switch elements {
        case .binary(var reader):
            cell = try reader.next()
            elements = .binary(reader)
        case .text(let parts): cell = parts.cell(currentIndex)
        }
        peeked = .some(cell)
        return cell
    }

    private mutating func advance() {
        peeked = nil
        currentIndex += 1
    }

    mutating func decodeNil() throws -> Bool {
        guard try peek() == nil else { return false }
        advance()
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let cell = try peek()
        do {
            let element = try decoder.decodePart(type, from: cell)
            advance()
            return element
        } catch let error as SQLValueError {
            throw SQLValueError("element \(currentIndex) of the array: \(error.reason)")
        }
    }

    mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        throw SQLValueError("an array's element is decoded as a whole")
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        throw SQLValueError("an array's element is decoded as a whole")
    }
    mutating func superDecoder() throws -> any Decoder { throw SQLValueError("an array has no super") }
}

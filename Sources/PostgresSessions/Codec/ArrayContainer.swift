/// An array's elements for types that are `Decodable` and have no codec: `[Stop]`, `Set<String>`.
///
/// Its bytes are alive as long as the value that is being decoded: `decoder` is asked before each access.
struct ArrayContainer: UnkeyedDecodingContainer {
    private let decoder: CellDecoder
    private let value: Int
    private var reader: BinaryArrayReader
    private let length: Int
    private(set) var currentIndex = 0
    /// An element that was looked at, and not taken.
    private var peeked: SQLCell??

    init(_ cell: SQLCell, _ decoder: CellDecoder) throws {
        reader = try BinaryArrayReader(cell)
        guard reader.dimensions.count <= 1 else {
            throw SQLValueError(
                "the array has \(reader.dimensions.count) dimensions; only those with a codec can be nested")
        }
        length = reader.dimensions.first ?? 0
        self.decoder = decoder
        value = decoder.current
    }

    /// Whether a cell may be an array at all.
    static func mayBe(_ cell: SQLCell) -> Bool {
        cell.isBinary
            && (cell.type.element != nil
                || cell.type.rawValue >= SQLCell.firstUserDefinedType && ArrayForm.mayBeArray(cell.bytes))
    }

    var codingPath: [any CodingKey] { [] }
    var count: Int? { length }
    var isAtEnd: Bool { currentIndex >= length }

    private mutating func peek() throws -> SQLCell? {
        try decoder.requireOpen(value)
        guard !isAtEnd else { throw SQLValueError("the array has \(length) elements, and one more is wanted") }
        if let peeked { return peeked }
        let cell = try reader.next()
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

/// The parts of a value that came as text, without their quotes and escapes, and cells that point to them.
final class TextParts {
    private let memory: UnsafeMutableRawBufferPointer
    private var cells: [SQLCell?] = []

    /// `make` makes the cell of the part with that index.
    init(_ parts: [[UInt8]?], _ make: (Int, UnsafeRawBufferPointer) -> SQLCell) {
        memory = .allocate(byteCount: max(1, parts.reduce(0) { $0 + ($1?.count ?? 0) }), alignment: 1)
        cells.reserveCapacity(parts.count)
        var start = 0
        for (index, part) in parts.enumerated() {
            guard let part else {
                cells.append(nil)
                continue
            }
            let place = UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + part.count])
            place.copyBytes(from: part)
            cells.append(make(index, UnsafeRawBufferPointer(place)))
            start += part.count
        }
    }

    deinit { memory.deallocate() }

    var count: Int { cells.count }

    /// nil for NULL. Valid as long as this object lives.
    func cell(_ index: Int) -> SQLCell? { cells[index] }
}

/// Reads quoted and plain words off the text of composites and ranges, which have the same rules (`record_in`,
/// `range_parse_bound`): a quote inside quotes is doubled, and a backslash escapes whatever follows it.
struct QuotedTextReader {
    private let text: UnsafeRawBufferPointer
    private var index = 0

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    var isAtEnd: Bool { index >= text.count }

    /// Takes the next byte if it is one of these.
    mutating func take(_ wanted: String) -> UInt8? {
        guard index < text.count, wanted.utf8.contains(text[index]) else { return nil }
        index += 1
        return text[index - 1]
    }

    mutating func takeWord(_ wanted: StaticString) -> Bool {
        let isThere = wanted.withUTF8Buffer { text[index...].starts(with: $0) }
        if isThere { index += wanted.utf8CodeUnitCount }
        return isThere
    }

    /// A word in quotes, in which a backslash escapes whatever follows it.
    mutating func quotedWord() throws -> [UInt8] {
        guard take("\"") != nil else { throw SQLValueError("the value's text has no quote where one belongs") }
        var bytes: [UInt8] = []
        while index < text.count {
            let byte = text[index]
            index += 1
            if byte == UInt8(ascii: "\"") { return bytes }
            if byte == UInt8(ascii: "\\"), index < text.count {
                bytes.append(text[index])
                index += 1
            } else {
                bytes.append(byte)
            }
        }
        throw SQLValueError("the value's text ends inside quotes")
    }

    /// Up to one of `ends`, which stays; nil for nothing at all, which is no word, where `""` is an empty one.
    mutating func word(until ends: String) throws -> [UInt8]? {
        let start = index
        var bytes: [UInt8] = []
        var isQuoted = false
        while index < text.count {
            let byte = text[index]
            if !isQuoted && ends.utf8.contains(byte) { return index == start ? nil : bytes }
            index += 1
            switch byte {
            case UInt8(ascii: "\\"):
                guard index < text.count else { break }
                bytes.append(text[index])
                index += 1
            case UInt8(ascii: "\"") where isQuoted && index < text.count && text[index] == byte:
                bytes.append(byte)
                index += 1
            case UInt8(ascii: "\""): isQuoted.toggle()
            default: bytes.append(byte)
            }
        }
        throw SQLValueError("the value's text ends too early")
    }
}

/// A composite's text, `(1,"a b",)`.
enum CompositeText {
    /// The fields, nil for NULL. A composite of no fields has the text of one whose only field is NULL.
    static func fields(_ text: UnsafeRawBufferPointer) throws -> [[UInt8]?] {
        var reader = QuotedTextReader(text)
        guard reader.take("(") != nil else { throw SQLValueError("the text is no composite: it has no (") }
        var fields: [[UInt8]?] = []
        repeat { fields.append(try reader.word(until: ",)")) } while reader.take(",") != nil
        guard reader.take(")") != nil, reader.isAtEnd else {
            throw SQLValueError("the composite's text goes on behind its end")
        }
        return fields
    }
}

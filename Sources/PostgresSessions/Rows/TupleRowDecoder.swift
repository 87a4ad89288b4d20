import Foundation

/// Rows into tuples, column by column. `Row` is `(repeat each V)`.
///
/// Elements are written straight to their places in the tuple. The language's own `(repeat try next((each V).self))` asks the
/// runtime for the tuple's type several times a row, which takes longer than the decoding; it remains as the fallback.
final class TupleRowDecoder<Row, each V: SQLDecodable>: RowDecoder<Row> {
    /// One for each element; empty when the tuple's layout is not the expected one.
    private let elements: UnsafeMutableBufferPointer<TupleElement>
    /// How elements of other than the known types get to their places.
    private let others: [TupleElement.Decode]
    /// Where a row is put together that goes nowhere else; uninitialized between rows.
    private let scratch: UnsafeMutablePointer<Row>

    override init(_ cells: RowCells) {
        let offsets = TupleLayout.offsets(of: repeat (each V).self, size: MemoryLayout<Row>.size) ?? []
        elements = .allocate(capacity: offsets.count == cells.columns.count ? offsets.count : 0)
        var others: [TupleElement.Decode] = []
        for type in repeat (each V).self {
            if others.count < elements.count {
                elements.initializeElement(at: others.count, to: TupleElement(type, at: offsets[others.count]))
            }
            others.append(Self.decode(type))
        }
        self.others = others
        scratch = .allocate(capacity: 1)
        super.init(cells)
    }

    private static func decode<Element: SQLDecodable>(_ type: Element.Type) -> TupleElement.Decode {
        { reader, column, place in
            place.initializeMemory(as: Element.self, to: try reader.read(Element.self, at: column))
        }
    }

    deinit {
        scratch.deallocate()
        elements.deallocate()
    }

    override func decodeLoaded() throws -> Row {
        try decodeLoaded(into: scratch)
        return scratch.move()
    }

    override func decodeLoaded(into place: UnsafeMutablePointer<Row>) throws {
        guard !elements.isEmpty else { return place.initialize(to: try decodeByLanguage()) }
        let reader = cells.reader
        let base = UnsafeMutableRawPointer(place)
        var column = 0
        do {
            while column < elements.count {
                let element = (elements.baseAddress! + column).pointee
                if try !element.decode(column, of: reader, into: base) {
                    try others[column](reader, column, base + element.offset)
                }
                column += 1
            }
        } catch {
            discard(column, base)
            throw error
        }
    }

    /// Destroys the elements that were written before one failed.
    @inline(never)
    private func discard(_ count: Int, _ base: UnsafeMutableRawPointer) {
        var column = 0
        func destroy<Element>(_ type: Element.Type) {
            if column < count {
                (base + elements[column].offset).assumingMemoryBound(to: Element.self).deinitialize(count: 1)
            }
            column += 1
        }
        repeat destroy((each V).self)
    }

    private func decodeByLanguage() throws -> Row {
        var column = -1
        func next<Element: SQLDecodable>(_ type: Element.Type) throws -> Element {
            column += 1
            return try cells.reader.read(type, at: column)
        }
        return (repeat try next((each V).self)) as! Row
    }
}

/// An element of a tuple: where it lies, and what it is.
private struct TupleElement {
    typealias Decode = (CellReader, Int, UnsafeMutableRawPointer) throws -> Void

    let offset: Int
    private let type: KnownType

    /// The types of most columns. Their values are made in place, where others are made elsewhere and then moved.
    private enum KnownType {
        case int, int32, int64, string, double, bool, date, uuid
        case optionalInt, optionalInt32, optionalInt64, optionalString, optionalDouble, optionalBool, optionalDate
        case optionalUUID
        case other
    }

    init<Element>(_ element: Element.Type, at offset: Int) {
        self.offset = offset
        type =
            switch ObjectIdentifier(element) {
            case ObjectIdentifier(Int.self): .int
            case ObjectIdentifier(Int32.self): .int32
            case ObjectIdentifier(Int64.self): .int64
            case ObjectIdentifier(String.self): .string
            case ObjectIdentifier(Double.self): .double
            case ObjectIdentifier(Bool.self): .bool
            case ObjectIdentifier(Date.self): .date
            case ObjectIdentifier(UUID.self): .uuid
            case ObjectIdentifier(Int?.self): .optionalInt
            case ObjectIdentifier(Int32?.self): .optionalInt32
            case ObjectIdentifier(Int64?.self): .optionalInt64
            case ObjectIdentifier(String?.self): .optionalString
            case ObjectIdentifier(Double?.self): .optionalDouble
            case ObjectIdentifier(Bool?.self): .optionalBool
            case ObjectIdentifier(Date?.self): .optionalDate
            case ObjectIdentifier(UUID?.self): .optionalUUID
            default: .other
            }
    }

    /// Initializes the element of the tuple that begins at `base`. False: its type is not known here.
    @inline(__always)
    func decode(_ column: Int, of reader: CellReader, into base: UnsafeMutableRawPointer) throws -> Bool {
        @inline(__always)
        func make<V: SQLDecodable>(_ type: V.Type) throws {
            (base + offset).initializeMemory(as: V.self, to: try reader.read(V.self, at: column))
        }
        switch type {
        case .int: try make(Int.self)
        case .int32: try make(Int32.self)
        case .int64: try make(Int64.self)
        case .string: try make(String.self)
        case .double: try make(Double.self)
        case .bool: try make(Bool.self)
        case .date: try make(Date.self)
        case .uuid: try make(UUID.self)
        case .optionalInt: try make(Int?.self)
        case .optionalInt32: try make(Int32?.self)
        case .optionalInt64: try make(Int64?.self)
        case .optionalString: try make(String?.self)
        case .optionalDouble: try make(Double?.self)
        case .optionalBool: try make(Bool?.self)
        case .optionalDate: try make(Date?.self)
        case .optionalUUID: try make(UUID?.self)
        case .other: return false
        }
        return true
    }
}

/// Rows into tuples, column by column. `Row` is `(repeat each V)`.
///
/// Elements are written straight to their places in the tuple. The language's own `(repeat try next((each V).self))` asks the
/// runtime for the tuple's type several times a row, which takes longer than the decoding; it remains as the fallback.
final class TupleRowDecoder<Row, each V: SQLDecodable>: RowDecoder<Row> {
    /// Where each element lies in the tuple; nil when the tuple's layout is not the expected one.
    private let offsets: [Int]?
    /// Where a row is put together that goes nowhere else; uninitialized between rows.
    private let scratch: UnsafeMutablePointer<Row>

    override init(_ cells: RowCells) {
        // A tuple's elements lie one behind another, each at the next multiple of its alignment.
        var end = 0
        var offsets: [Int] = []
        func place<Element>(_ type: Element.Type) {
            let alignment = MemoryLayout<Element>.alignment
            let start = (end + alignment - 1) / alignment * alignment
            offsets.append(start)
            end = start + MemoryLayout<Element>.size
        }
        repeat place((each V).self)
        self.offsets = end == MemoryLayout<Row>.size ? offsets : nil
        scratch = .allocate(capacity: 1)
        super.init(cells)
    }

    deinit { scratch.deallocate() }

    override func decodeLoaded() throws -> Row {
        try decodeLoaded(into: scratch)
        return scratch.move()
    }

    override func decodeLoaded(into place: UnsafeMutablePointer<Row>) throws {
        guard let offsets else { return place.initialize(to: try decodeByLanguage()) }
        let reader = cells.reader
        let base = UnsafeMutableRawPointer(place)
        var column = 0
        do {
            repeat try Self.decode((each V).self, reader, &column, base, offsets)
        } catch {
            discard(column, base, offsets)
            throw error
        }
    }

    @inline(__always)
    private static func decode<Element: SQLDecodable>(
        _ type: Element.Type, _ reader: CellReader, _ column: inout Int, _ base: UnsafeMutableRawPointer,
        _ offsets: [Int]
    ) throws {
        (base + offsets[column]).initializeMemory(as: Element.self, to: try reader.read(type, at: column))
        column += 1
    }

    /// Destroys the elements that were written before one failed.
    @inline(never)
    private func discard(_ count: Int, _ base: UnsafeMutableRawPointer, _ offsets: [Int]) {
        var column = 0
        func destroy<Element>(_ type: Element.Type) {
            if column < count { (base + offsets[column]).assumingMemoryBound(to: Element.self).deinitialize(count: 1) }
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

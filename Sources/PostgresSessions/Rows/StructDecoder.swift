/// Rows into a `Decodable`, by column names.
///
/// One decoder and one keyed container serve all rows of a result: columns are looked up once, and a row costs no allocation
/// beyond its own values.
final class StructRowDecoder<T: Decodable>: RowDecoder<T> {
    private let reader: ColumnReader
    private let slot: ContainerSlot.Pointer
    private let decoder: StructDecoder

    override init(_ cells: RowCells) {
        reader = ColumnReader(cells, of: T.self as? any Table.Type)
        slot = ContainerSlot.take(for: reader)
        decoder = StructDecoder(slot)
        super.init(cells)
    }

    deinit { ContainerSlot.release(slot) }

    override func decodeLoaded() throws -> T { try T(from: decoder) }

    override func decodeLoaded(into place: UnsafeMutablePointer<T>) throws {
        place.initialize(to: try T(from: decoder))
    }
}

/// The `Decoder` that a row's type sees: keyed by column names, or a single value when there is one column.
///
/// Handed over for every row, so it holds no reference that would be counted then, as ``RowKeyedContainer`` does not. One that
/// is kept longer than the rows' decoder throws.
struct StructDecoder: Decoder {
    private let slot: ContainerSlot.Pointer
    private let generation: UInt

    init(_ slot: ContainerSlot.Pointer) {
        self.slot = slot
        generation = slot.pointee.generation
    }

    private func reader() throws -> ColumnReader {
        guard slot.pointee.generation == generation else { throw CellReader.late }
        return slot.pointee.columns.takeUnretainedValue()
    }

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard slot.pointee.generation == generation else { throw CellReader.late }
        let key = unsafeBitCast(type, to: UnsafeRawPointer.self)
        if slot.pointee.madeKey == key, let container = slot.pointee.made {
            return unsafeDowncast(container, to: Box<KeyedDecodingContainer<Key>>.self).copy()
        }
        return try make(keyedBy: type)
    }

    @inline(never)
    private func make<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        let own = ContainerSlot.take(for: try reader())
        own.pointee.decoder = self
        let container = KeyedDecodingContainer(RowKeyedContainer<Key>(own))
        slot.pointee.note(unsafeBitCast(type, to: UnsafeRawPointer.self), Box(container), in: own)
        return container
    }

    /// Generic over the container, not over the key: so the container's metadata is at hand, and need not be looked up in the
    /// runtime's tables for every row (a tenth of the time that a row takes).
    private final class Box<Container> {
        private let container: Container
        init(_ container: Container) { self.container = container }

        @inline(never)
        func copy() -> Container { container }
    }

    /// Of the only column's content: an array, or one in JSON.
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let reader = try reader()
        guard reader.cells.columns.count == 1 else {
            throw SQLValueError("rows decode by column names; take a tuple to decode them in order")
        }
        return try reader.decoder(at: 0).unkeyedContainer()
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        let reader = try reader()
        guard reader.cells.columns.count == 1 else {
            throw SQLValueError("a single value takes 1 column, the result has \(reader.cells.columns.description)")
        }
        // What NULL is to it, the row's type says; where it is nothing, the error names that type and not its raw value's.
        return try reader.cells.cell(0) == nil ? CellDecoder.ofNull() : SingleColumnContainer(reader)
    }
}

/// Decodes any type out of a column, and remembers per column how its type is decoded.
final class ColumnReader {
    let cells: CellReader
    /// Keeps alive what `cells` points into.
    private let owner: RowCells
    private let cellDecoder = CellDecoder()
    /// One for each column.
    private let ways: UnsafeMutablePointer<Way>

    /// Where rows become a table's type, it says how its columns are called.
    private let table: (any Table.Type)?

    private struct Way {
        var type: ObjectIdentifier
        var sql: (any SQLDecodable.Type)?
    }

    init(_ owner: RowCells, of table: (any Table.Type)?) {
        self.owner = owner
        self.table = table
        cells = owner.reader
        ways = .allocate(capacity: owner.columns.count)
        ways.initialize(repeating: Way(type: ObjectIdentifier(Never.self)), count: owner.columns.count)
    }

    deinit { ways.deallocate() }

    /// The column of a coding key; nil when there is none.
    func column(forKey key: String) -> Int? {
        if let table, let column = owner.columns.index(of: table.columnName(forKey: key)) { return column }
        return owner.columns.index(forKey: key)
    }

    /// json and jsonb are decoded by their content, unless text or bytes are wanted; what has a codec, by its codec; the
    /// rest as a single value (enums with raw values are that).
    @inline(never)
    func read<T: Decodable>(_ type: T.Type, at column: Int) throws -> T {
        let id = ObjectIdentifier(type)
        guard column < owner.columns.count else { throw CellReader.late }
        if ways[column].type != id { ways[column] = Way(type: id, sql: type as? any SQLDecodable.Type) }
        guard let sql = ways[column].sql else { return try readContent(type, at: column) }
        return try withUnsafeTemporaryAllocation(of: T.self, capacity: 1) { place in
            try open(sql, at: column, into: UnsafeMutableRawPointer(place.baseAddress!))
            return place.baseAddress!.move()
        }
    }

    /// `V` is the very type that `place` has room for: no cast is needed.
    private func open<V: SQLDecodable>(_ type: V.Type, at column: Int, into place: UnsafeMutableRawPointer) throws {
        place.initializeMemory(as: V.self, to: try cells.read(type, at: column))
    }

    /// The decoder of a column's content, for types that open containers in it by hand.
    func decoder(at column: Int) throws -> any Decoder {
        guard let cell = try cells.cell(column) else { throw SQLValueError("the value is NULL") }
        return cell.isJSON ? try read(AnyParts.self, at: column).decoder : CellDecoder(keeping: cell, of: owner)
    }

    /// JSONDecoder hands out its decoder only from inside.
    private struct AnyParts: Decodable {
        let decoder: any Decoder
        init(from decoder: any Decoder) throws { self.decoder = decoder }
    }

    private func readContent<T: Decodable>(_ type: T.Type, at column: Int) throws -> T {
        let cell = try cells.cell(column)
        do {
            return try cellDecoder.decode(type, from: cell)
        } catch {
            throw cells.failure(cell == nil ? SQLValueError.null(type) : error, type)
        }
    }
}

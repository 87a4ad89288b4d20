import PostgresWire

/// The cells of the row that is being decoded. One object serves all rows of a result, so that rows cost no allocation.
///
/// Cells point into the result's memory: they can be read between `load` and `unload` only, and nothing else can be read
/// outside of that, whoever kept a reference.
package final class RowCells {
    package let columns: RowColumns
    /// What reads the cells; valid as long as this object lives.
    let reader: CellReader

    package init(columns: RowColumns) {
        self.columns = columns
        reader = CellReader(columns)
    }

    deinit { reader.deallocate() }

    @inline(__always)
    func load(_ result: WireResult, row: Int, number: Int) {
        let count = columns.count
        reader.set(row, of: result, count: count)
        reader.begin(row: number, readable: count)
    }

    /// One row of COPY's binary format: Int16 count of fields, then each behind its Int32 length.
    func load(copied bytes: UnsafeRawBufferPointer, row: Int) throws {
        reader.begin(row: row, readable: 0)
        let count = columns.count
        var bytes = ByteReader(bytes)
        guard Int(try bytes.integer(Int16.self)) == count else { throw strangeCount }
        for column in 0..<count { reader.set(column, to: try bytes.counted() ?? CellReader.null) }
        guard bytes.remaining == 0 else { throw SQLValueError("the row has \(bytes.remaining) bytes too many") }
        reader.begin(row: row, readable: count)
    }

    @inline(never)
    private var strangeCount: SQLValueError { SQLValueError("the row's count of fields is not \(columns.count)") }

    @inline(__always)
    func unload() { reader.end() }
}

/// Reads the cells of the current row: two pointers into the memory of a ``RowCells``.
///
/// No reference is counted and no access checked while rows are read: that is what makes it fast. Whoever holds one keeps
/// the `RowCells` alive, or proves otherwise that it lives (``ContainerSlot``).
struct CellReader {
    private let cells: UnsafeMutablePointer<UnsafeRawBufferPointer>
    private let kinds: UnsafeMutablePointer<Kind>
    private let state: UnsafeMutablePointer<State>

    private struct Kind {
        let type: SQLType
        let form: SQLCellForm
    }

    private struct State {
        let columns: Unmanaged<RowColumns>
        /// How many cells may be read: all or none.
        var readable = 0
        var row = 0
        var current = -1
    }

    static var null: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    fileprivate init(_ columns: RowColumns) {
        cells = .allocate(capacity: columns.count)
        cells.initialize(repeating: Self.null, count: columns.count)
        kinds = .allocate(capacity: columns.count)
        for column in 0..<columns.count {
            let (type, form) = columns.kind(of: column)
            (kinds + column).initialize(to: Kind(type: type, form: form))
        }
        state = .allocate(capacity: 1)
        state.initialize(to: State(columns: .passUnretained(columns)))
    }

    fileprivate func deallocate() {
        cells.deallocate()
        kinds.deallocate()
        state.deallocate()
    }

    @inline(__always)
    fileprivate func set(_ column: Int, to bytes: UnsafeRawBufferPointer) {
        cells[column] = bytes
    }

    @inline(__always)
    fileprivate func set(_ row: Int, of result: WireResult, count: Int) {
        result.read(row: row, into: cells, count: count)
    }

    @inline(__always)
    fileprivate func begin(row: Int, readable: Int) {
        state.pointee.row = row
        state.pointee.current = -1
        state.pointee.readable = readable
    }

    @inline(__always)
    fileprivate func end() { state.pointee.readable = 0 }

    var columns: RowColumns { state.pointee.columns.takeUnretainedValue() }

    /// The cell of a column; nil for NULL.
    @inline(__always)
    func cell(_ column: Int) throws -> SQLCell? {
        guard column < state.pointee.readable else { throw Self.late }
        state.pointee.current = column
        let bytes = cells[column]
        if bytes.baseAddress == nil { return nil }
        return SQLCell(bytes: bytes, type: kinds[column].type, form: kinds[column].form)
    }

    @inline(never)
    static var late: SQLValueError { SQLValueError("the row was read after it was decoded") }

    /// Decodes one column. Errors name column, types, row and reason.
    @inline(__always)
    func read<V: SQLDecodable>(_ type: V.Type, at column: Int) throws -> V {
        guard let cell = try cell(column) else { return try null(type) }
        do {
            return try V(sqlCell: cell)
        } catch {
            throw failed(error, type)
        }
    }

    /// Out of the way of what succeeds.
    @inline(never)
    private func failed<V>(_ error: any Error, _ type: V.Type) -> any Error { failure(error, type) }

    @inline(never)
    private func null<V: SQLDecodable>(_ type: V.Type) throws -> V {
        if let value = V.sqlNull { return value }
        throw failure(SQLValueError.null(V.self), type)
    }

    /// There is no column for this key: a failure of the row as a whole.
    @inline(never)
    func missing(_ key: String) -> SQLValueError {
        state.pointee.current = -1
        let isWhole = columns.count == 1 && columns.types[0].isJSON
        let remedy = isWhole ? ": its JSON becomes a field of the row's type" : ""
        return SQLValueError("there is no column \"\(key)\"; the result has \(columns.description)\(remedy)")
    }

    /// What went wrong in the column that was read last, or in the row when none was.
    @inline(never)
    func failure<V>(_ error: any Error, _ type: V.Type) -> DecodingFailure {
        let reason: String
        switch error {
        case let error as DecodingFailure: return error
        case let error as SQLValueError: reason = error.reason
        case let error as DecodingError: reason = DecodingFailure.reason(of: error)
        case EngineError.decoding(let failure): return failure
        default: reason = "its initializer threw \(Swift.type(of: error))"
        }
        let (columns, current) = (columns, state.pointee.current)
        let isInColumn = current >= 0 && current < columns.count
        return DecodingFailure(
            column: isInColumn ? columns.names[current] : nil, sqlType: isInColumn ? columns.types[current] : nil,
            sqlTypeName: isInColumn ? columns.typeName(of: current) : nil, type: "\(V.self)", row: state.pointee.row,
            reason: reason)
    }
}

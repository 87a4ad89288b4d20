import PostgresWire

/// The cells of the row that is being decoded. One object serves all rows of a result, so that rows cost no allocation.
///
/// Cells point into the result's memory: they can be read between `load` and `unload` only, and nothing else can be read
/// outside of that, whoever kept a reference.
package final class RowCells {
    package let columns: RowColumns
    // Raw memory, since this object is owned by one decoder and stored properties would be checked for exclusive access at
    // every cell.
    private let cells: UnsafeMutablePointer<SQLCell>
    private let state: UnsafeMutablePointer<State>

    private struct State {
        /// How many cells may be read: all or none.
        var readable = 0
        var row = 0
        var current = -1
    }

    package init(columns: RowColumns) {
        self.columns = columns
        cells = .allocate(capacity: columns.count)
        for column in 0..<columns.count {
            (cells + column).initialize(
                to: SQLCell(bytes: Self.null, type: columns.types[column], isBinary: columns.isBinary[column]))
        }
        state = .allocate(capacity: 1)
        state.initialize(to: State())
    }

    deinit {
        cells.deallocate()
        state.deallocate()
    }

    private static var null: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    /// The row's number, for errors.
    var row: Int { state.pointee.row }

    /// The column that was read last, for errors that do not say where they come from; -1 for none.
    var current: Int {
        get { state.pointee.current }
        set { state.pointee.current = newValue }
    }

    @inline(__always)
    func load(_ result: WireResult, row: Int) {
        let count = columns.count
        for column in 0..<count {
            let bytes = result.cell(row: row, column: column) ?? Self.null
            cells[column] = SQLCell(bytes: bytes, type: cells[column].type, isBinary: cells[column].isBinary)
        }
        state.pointee = State(readable: count, row: row)
    }

    /// One row of COPY's binary format: Int16 count of fields, then each behind its Int32 length.
    func load(copied bytes: UnsafeRawBufferPointer, row: Int) throws {
        state.pointee = State(row: row)
        var reader = ByteReader(bytes)
        guard Int(try reader.integer(Int16.self)) == columns.count else {
            throw SQLValueError("the row's count of fields is not \(columns.count)")
        }
        for column in 0..<columns.count {
            let bytes = try reader.counted() ?? Self.null
            cells[column] = SQLCell(bytes: bytes, type: cells[column].type, isBinary: true)
        }
        guard reader.remaining == 0 else { throw SQLValueError("the row has \(reader.remaining) bytes too many") }
        state.pointee.readable = columns.count
    }

    @inline(__always)
    func unload() { state.pointee.readable = 0 }

    /// The cell of a column; nil for NULL.
    @inline(__always)
    func cell(_ column: Int) throws -> SQLCell? {
        guard column < state.pointee.readable else { throw Self.late }
        state.pointee.current = column
        let cell = cells[column]
        return cell.bytes.baseAddress == nil ? nil : cell
    }

    private static var late: SQLValueError { SQLValueError("the row was read after it was decoded") }

    /// Whether a column is NULL.
    func isNull(_ column: Int) throws -> Bool { try cell(column) == nil }

    /// Decodes one column. Errors name column, types, row and reason.
    @inline(__always)
    func read<V: SQLDecodable>(_ type: V.Type, at column: Int) throws -> V {
        guard let cell = try cell(column) else { return try null(type) }
        do {
            return try V(sqlCell: cell)
        } catch {
            throw failure(error, type)
        }
    }

    @inline(never)
    private func null<V: SQLDecodable>(_ type: V.Type) throws -> V {
        if let value = V.sqlNull { return value }
        throw failure(SQLValueError("the value is NULL, and \(V.self) is not optional"), type)
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
        let isInColumn = current >= 0 && current < columns.count
        return DecodingFailure(
            column: isInColumn ? columns.names[current] : nil, sqlType: isInColumn ? columns.types[current] : nil,
            type: "\(V.self)", row: row, reason: reason)
    }
}

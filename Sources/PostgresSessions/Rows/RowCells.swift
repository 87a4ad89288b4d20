import PostgresWire

/// The cells of the row that is being decoded. One object serves all rows of a result, so that rows cost no allocation.
///
/// Cells point into the result's memory: they can be read between `load` and `unload` only, and nothing else can be read
/// outside of that, whoever kept a reference.
package final class RowCells {
    package let columns: RowColumns
    private let cells: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>
    private var isLoaded = false
    /// The row's number, for errors.
    private(set) var row = 0
    /// The column that was read last, for errors that do not say where they come from.
    var current = -1

    package init(columns: RowColumns) {
        self.columns = columns
        cells = .allocate(capacity: columns.count)
        cells.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    deinit { cells.deallocate() }

    func load(_ result: WireResult, row: Int) {
        self.row = row
        current = -1
        let null = UnsafeRawBufferPointer(start: nil, count: 0)
        for column in 0..<cells.count { cells[column] = result.cell(row: row, column: column) ?? null }
        isLoaded = true
    }

    /// One row of COPY's binary format: Int16 count of fields, then each behind its Int32 length.
    func load(copied bytes: UnsafeRawBufferPointer, row: Int) throws {
        self.row = row
        current = -1
        var reader = ByteReader(bytes)
        guard Int(try reader.integer(Int16.self)) == cells.count else {
            throw SQLValueError("the row's count of fields is not \(cells.count)")
        }
        for column in 0..<cells.count {
            cells[column] = try reader.counted() ?? UnsafeRawBufferPointer(start: nil, count: 0)
        }
        guard reader.remaining == 0 else { throw SQLValueError("the row has \(reader.remaining) bytes too many") }
        isLoaded = true
    }

    func unload() { isLoaded = false }

    /// The cell of a column; nil for NULL.
    @inline(__always)
    func cell(_ column: Int) throws -> SQLCell? {
        guard isLoaded, column < cells.count else { throw SQLValueError("the row was read after it was decoded") }
        current = column
        let bytes = cells[column]
        if bytes.baseAddress == nil { return nil }
        return SQLCell(bytes: bytes, type: columns.types[column], isBinary: columns.isBinary[column])
    }

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

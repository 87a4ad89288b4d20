package import PostgresWire

/// How rows become values of `T`. Made once per query type; makes one ``RowDecoder`` per result.
package struct RowDecoding<T>: @unchecked Sendable {  // the closure captures types alone
    private enum Kind {
        /// One column; nil for NULL.
        case scalar((SQLCell?) throws -> T)
        case rows((RowColumns) throws(EngineError) -> RowDecoder<T>)
    }

    private let kind: Kind
    /// False: what is decoded refers to the result.
    let copiesValues: Bool

    private init(
        copiesValues: Bool = true, _ make: @escaping (RowColumns) throws(EngineError) -> RowDecoder<T>
    ) {
        kind = .rows(make)
        self.copiesValues = copiesValues
    }

    private init(scalar read: @escaping (SQLCell?) throws -> T) {
        kind = .scalar(read)
        copiesValues = true
    }

    /// Resolves everything that depends on the columns alone.
    ///
    /// Throws ``EngineError/decoding(_:)`` when `T` cannot come from such columns.
    package func makeDecoder(for columns: RowColumns) throws(EngineError) -> RowDecoder<T> {
        switch kind {
        case .rows(let make): return try make(columns)
        case .scalar(let read):
            try columns.require(count: 1, for: T.self)
            return ScalarRowDecoder(columns, read)
        }
    }

    /// One row of a result. A single value needs no decoder; unless it does not fit, and only a decoder can say why.
    func value(of result: WireResult, row: Int) throws(EngineError) -> T {
        if case .scalar(let read) = kind, result.columnCount == 1, result.columnOID(0) < 2000 || !isForeign(result) {
            let cell = result.cell(row: row, column: 0).map {
                SQLCell(bytes: $0, type: SQLType(rawValue: result.columnOID(0)), isBinary: result.columnIsBinary(0))
            }
            do { return try read(cell) } catch {}
        }
        return try decoder(for: result).decode(result, row: row)
    }

    @inline(never)
    private func isForeign(_ result: WireResult) -> Bool {
        let type = SQLType(rawValue: result.columnOID(0))
        return type.isOfDatabase || type.namesItsParts
    }

    /// As above, for the columns of `result` and of every later result of the same statement.
    package func makeDecoder(for result: WireResult) throws(EngineError) -> RowDecoder<T> {
        try makeDecoder(for: RowColumns(of: result))
    }

    /// Every row of a complete result.
    package func decodeAll(_ result: WireResult) throws(EngineError) -> [T] {
        try decoder(for: result).decodeAll(result)
    }
}

extension RowDecoding where T: SQLDecodable {
    /// Rows of one column.
    package static var scalar: Self {
        Self(scalar: { cell in
            if let cell { return try T(sqlCell: cell) }
            return try valueForNull()
        })
    }

    @inline(never)
    private static func valueForNull() throws -> T {
        guard let null = T.sqlNull else { throw SQLValueError.null(T.self) }
        return null
    }
}

extension RowDecoding where T: Decodable {
    /// Rows into a struct, by the names of the columns.
    package static var decodable: Self {
        Self { columns throws(EngineError) in
            try columns.requireAny(for: T.self)
            return StructRowDecoder(columns)
        }
    }
}

extension RowDecoding where T == ResultRow {
    /// Rows as they are, to be read by name or by index.
    package static var row: Self {
        Self(copiesValues: false) { columns throws(EngineError) in ResultRowDecoder(columns) }
    }
}

extension RowDecoding {
    /// Rows of as many columns as the tuple has elements, in that order.
    package static func tuple<each V: SQLDecodable>() -> Self where T == (repeat each V) {
        Self { columns throws(EngineError) in
            var count = 0
            for _ in repeat (each V).self { count += 1 }
            try columns.require(count: count, for: T.self)
            return TupleRowDecoder<T, repeat each V>(columns)
        }
    }
}

extension RowColumns {
    fileprivate func require<T>(count wanted: Int, for type: T.Type) throws(EngineError) {
        if count != wanted { throw misfit("\(wanted) column\(wanted == 1 ? "" : "s")", type) }
    }

    /// What a `Decodable` reads shows only with a row: a result that can have none would pass for one that happens to.
    fileprivate func requireAny<T>(for type: T.Type) throws(EngineError) {
        if count == 0 { throw misfit("columns", type) }
    }

    private func misfit<T>(_ wanted: String, _ type: T.Type) -> EngineError {
        let remedy = count == 0 ? ": INSERT, UPDATE and DELETE have rows where they say RETURNING" : ""
        let reason = "it takes \(wanted), the result has \(description)\(remedy)"
        return .decoding(DecodingFailure(type: "\(T.self)", reason: reason))
    }
}

/// Decodes the rows of one result, one after another. Not to be shared between tasks.
package class RowDecoder<T> {
    let cells: RowCells
    /// How many rows came in earlier parts of the result. Errors count from the first.
    final var rowsBefore = 0

    init(_ cells: RowCells) { self.cells = cells }

    convenience init(_ columns: RowColumns) { self.init(RowCells(columns: columns)) }

    package final var columns: RowColumns { cells.columns }

    /// One row of a result whose columns are this decoder's.
    package func decode(_ result: WireResult, row: Int) throws(EngineError) -> T {
        cells.load(result, row: row, number: rowsBefore + row)
        defer { cells.unload() }
        do {
            return try decodeLoaded()
        } catch {
            throw .decoding(cells.reader.failure(error, T.self))
        }
    }

    /// As ``decode(_:row:)``, into memory that is not initialized; and is not, either, when this throws.
    package func decode(_ result: WireResult, row: Int, into place: UnsafeMutablePointer<T>) throws(EngineError) {
        cells.load(result, row: row, number: rowsBefore + row)
        defer { cells.unload() }
        do {
            try decodeLoaded(into: place)
        } catch {
            throw .decoding(cells.reader.failure(error, T.self))
        }
    }

    /// Every row of a result whose columns are this decoder's, each decoded where it stays.
    package final func decodeAll(_ result: WireResult) throws(EngineError) -> [T] {
        let count = result.rowCount
        guard count > 0 else { return [] }
        var failure: EngineError?
        let rows = [T](unsafeUninitializedCapacity: count) { places, decoded in
            do throws(EngineError) {
                while decoded < count {
                    try decode(result, row: decoded, into: places.baseAddress! + decoded)
                    decoded += 1
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return rows
    }

    /// One row of COPY's binary format, without the message's header.
    package final func decode(copied bytes: UnsafeRawBufferPointer, row: Int) throws(EngineError) -> T {
        let place = UnsafeMutablePointer<T>.allocate(capacity: 1)
        defer { place.deallocate() }
        try decode(copied: bytes, row: row, into: place)
        return place.move()
    }

    /// As above, into memory that is not initialized; and is not, either, when this throws.
    final func decode(
        copied bytes: UnsafeRawBufferPointer, row: Int, into place: UnsafeMutablePointer<T>
    ) throws(EngineError) {
        defer { cells.unload() }
        do {
            try cells.load(copied: bytes, row: row)
            try decodeLoaded(into: place)
        } catch {
            throw .decoding(cells.reader.failure(error, T.self))
        }
    }

    /// Reads `cells`, which hold a row.
    func decodeLoaded() throws -> T { throw SQLValueError("\(T.self) cannot be decoded here") }

    func decodeLoaded(into place: UnsafeMutablePointer<T>) throws { place.initialize(to: try decodeLoaded()) }
}

final class ScalarRowDecoder<T>: RowDecoder<T> {
    private let read: (SQLCell?) throws -> T

    init(_ columns: RowColumns, _ read: @escaping (SQLCell?) throws -> T) {
        self.read = read
        super.init(RowCells(columns: columns))
    }

    override func decodeLoaded() throws -> T { try read(cells.reader.cell(0)) }
}

final class ResultRowDecoder: RowDecoder<ResultRow> {
    override func decode(_ result: WireResult, row: Int) throws(EngineError) -> ResultRow {
        ResultRow(result: result, columns: columns, row: row)
    }

    override func decode(_ result: WireResult, row: Int, into place: UnsafeMutablePointer<ResultRow>)
        throws(EngineError)
    {
        place.initialize(to: ResultRow(result: result, columns: columns, row: row))
    }
}

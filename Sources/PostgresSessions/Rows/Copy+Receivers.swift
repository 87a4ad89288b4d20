internal import PostgresWire

// Two receivers, one vocabulary; see RowQuery+Receivers.swift. Rows reach the encoder through a `RowWriter`, as values of one
// opaque type: where Swift 6.3.1 sees an optional tuple of a parameter pack, or a closure over one, it crashes.

extension Session {
    /// Copies rows into a table in binary form: the fastest way in. Rows are tuples; the columns default to all of the
    /// table's. A lazy sequence is consumed as it is sent, so memory stays bounded.
    ///
    /// Values are converted to the columns' types where that is exact; text goes into a column of any type that can read it.
    /// Returns how many rows were written. Where a row is
    /// refused, nothing is copied: ``ServerError`` with the row in its context, or ``EngineError/encoding(_:)`` naming it.
    @discardableResult
    public func copyIn<each T: SQLEncodable, Rows: Sequence>(
        _ table: String, columns: [String] = [], rows: Rows
    ) async throws -> Int where Rows.Element == (repeat each T) {
        try await feed(table, columns, rows, TupleWriter<repeat each T>.self)
    }

    /// As the other `copyIn`, into one column.
    @discardableResult
    public func copyIn<Rows: Sequence>(
        _ table: String, columns: [String] = [], rows: Rows
    ) async throws -> Int where Rows.Element: SQLEncodable {
        try await feed(table, columns, rows, ScalarWriter<Rows.Element>.self)
    }

    /// As the other `copyIn`, from a sequence that is asked for more only when the server has taken what it had.
    @discardableResult
    public func copyIn<each T: SQLEncodable, Rows: AsyncSequence>(
        _ table: String, columns: [String] = [], rows: Rows
    ) async throws -> Int where Rows.Element == (repeat each T) {
        try await feed(table, columns, rows, TupleWriter<repeat each T>.self)
    }

    /// As the other `copyIn`, into one column, from a sequence that is asked for more only when the server has taken what it had.
    @discardableResult
    public func copyIn<Rows: AsyncSequence>(
        _ table: String, columns: [String] = [], rows: Rows
    ) async throws -> Int where Rows.Element: SQLEncodable {
        try await feed(table, columns, rows, ScalarWriter<Rows.Element>.self)
    }

    private func feed<Rows: Sequence, W: RowWriter>(
        _ table: String, _ columns: [String], _ rows: Rows, _ writer: W.Type
    ) async throws -> Int where Rows.Element == W.Row {
        let writer = W()
        var rows = rows.makeIterator()
        return try await core.copyIn(table, columns, .values(W.kinds), in: scope) { encoder in
            try encoder.fill(from: &rows, writer)
        }
        .rowsAffected
    }

    private func feed<Rows: AsyncSequence, W: RowWriter>(
        _ table: String, _ columns: [String], _ rows: Rows, _ writer: W.Type
    ) async throws -> Int where Rows.Element == W.Row {
        let writer = W()
        var rows = rows.makeAsyncIterator()
        return try await core.copyIn(table, columns, .values(W.kinds), in: scope) { encoder in
            try await encoder.fill(from: &rows, writer)
        }.rowsAffected
    }

    /// The rows of a query through COPY in binary form, in constant memory: less work for both sides than `stream()`, and
    /// no parameters. Elements are tuples, scalars or any `Decodable`, as in `query(_:as:)`.
    public func copyOut<T: SQLDecodable>(_ query: SQLQuery, as type: T.Type) async throws -> sending CopyOutRows<T> {
        try CopyOutRows.begin(try await core.beginCopyOut(query, in: scope), .scalar)
    }

    /// As the other `copyOut`, into tuples.
    public func copyOut<A: SQLDecodable, B: SQLDecodable, each T: SQLDecodable>(
        _ query: SQLQuery, as type: (A, B, repeat each T).Type
    ) async throws -> sending CopyOutRows<(A, B, repeat each T)> {
        try CopyOutRows.begin(try await core.beginCopyOut(query, in: scope), .tuple())
    }

    /// As the other `copyOut`, into any `Decodable`.
    @_disfavoredOverload
    public func copyOut<T: Decodable>(_ query: SQLQuery, as type: T.Type) async throws -> sending CopyOutRows<T> {
        try CopyOutRows.begin(try await core.beginCopyOut(query, in: scope), .decodable)
    }
}

extension Connection {
    /// Copies rows into a table in binary form: the fastest way in. Rows are tuples; the columns default to all of the
    /// table's. A lazy sequence is consumed as it is sent, so memory stays bounded.
    ///
    /// Values are converted to the columns' types where that is exact; text goes into a column of any type that can read it.
    /// Returns how many rows were written. Where a row is
    /// refused, nothing is copied: ``ServerError`` with the row in its context, or ``EngineError/encoding(_:)`` naming it.
    @discardableResult
    public func copyIn<each T: SQLEncodable, Rows: Sequence>(
        _ table: String, columns: [String] = [], rows: Rows
    ) async throws -> Int where Rows.Element == (repeat each T) {
        try await feed(table, columns, rows, TupleWriter<repeat each T>.self)
    }

    /// As the other `copyIn`, into one column.
    @discardableResult
    public func copyIn<Rows: Sequence>(
        _ table: String, columns: [String] = [], rows: Rows
    ) async throws -> Int where Rows.Element: SQLEncodable {
        try await feed(table, columns, rows, ScalarWriter<Rows.Element>.self)
    }

    /// As the other `copyIn`, from a sequence that is asked for more only when the server has taken what it had.
    @discardableResult
    public func copyIn<each T: SQLEncodable, Rows: AsyncSequence>(
        _ table: String, columns: [String] = [], rows: Rows
    ) async throws -> Int where Rows.Element == (repeat each T) {
        try await feed(table, columns, rows, TupleWriter<repeat each T>.self)
    }

    /// As the other `copyIn`, into one column, from a sequence that is asked for more only when the server has taken what it had.
    @discardableResult
    public func copyIn<Rows: AsyncSequence>(
        _ table: String, columns: [String] = [], rows: Rows
    ) async throws -> Int where Rows.Element: SQLEncodable {
        try await feed(table, columns, rows, ScalarWriter<Rows.Element>.self)
    }

    private func feed<Rows: Sequence, W: RowWriter>(
        _ table: String, _ columns: [String], _ rows: Rows, _ writer: W.Type
    ) async throws -> Int where Rows.Element == W.Row {
        let writer = W()
        var rows = rows.makeIterator()
        return try await core.copyIn(table, columns, .values(W.kinds)) { encoder in
            try encoder.fill(from: &rows, writer)
        }
        .rowsAffected
    }

    private func feed<Rows: AsyncSequence, W: RowWriter>(
        _ table: String, _ columns: [String], _ rows: Rows, _ writer: W.Type
    ) async throws -> Int where Rows.Element == W.Row {
        let writer = W()
        var rows = rows.makeAsyncIterator()
        return try await core.copyIn(table, columns, .values(W.kinds)) { encoder in
            try await encoder.fill(from: &rows, writer)
        }
        .rowsAffected
    }

    /// The rows of a query through COPY in binary form, in constant memory: less work for both sides than `stream()`, and
    /// no parameters. Elements are tuples, scalars or any `Decodable`, as in `query(_:as:)`.
    public func copyOut<T: SQLDecodable>(_ query: SQLQuery, as type: T.Type) async throws -> sending CopyOutRows<T> {
        try CopyOutRows.begin(try await core.beginCopyOut(query), .scalar)
    }

    /// As the other `copyOut`, into tuples.
    public func copyOut<A: SQLDecodable, B: SQLDecodable, each T: SQLDecodable>(
        _ query: SQLQuery, as type: (A, B, repeat each T).Type
    ) async throws -> sending CopyOutRows<(A, B, repeat each T)> {
        try CopyOutRows.begin(try await core.beginCopyOut(query), .tuple())
    }

    /// As the other `copyOut`, into any `Decodable`.
    @_disfavoredOverload
    public func copyOut<T: Decodable>(_ query: SQLQuery, as type: T.Type) async throws -> sending CopyOutRows<T> {
        try CopyOutRows.begin(try await core.beginCopyOut(query), .decodable)
    }
}

extension CopyOutRows {
    /// The COPY has begun; if its columns do not fit, it is ended again.
    static func begin(
        _ conversation: CopyConversation, _ decoding: RowDecoding<Element>
    ) throws -> sending CopyOutRows<Element> {
        let columns = conversation.columns
        let binary = RowColumns(
            names: columns.names, types: columns.types, isBinary: columns.names.map { _ in true },
            knowing: columns.catalog)
        do throws(EngineError) {
            return CopyOutRows(conversation: conversation, decoder: try decoding.makeDecoder(for: binary))
        } catch {
            conversation.drop()
            throw error
        }
    }
}

extension CopyEncoder {
    /// Appends rows until it is full; false when there are no more.
    mutating func fill<Rows: IteratorProtocol, W: RowWriter>(
        from rows: inout Rows, _ writer: W
    ) throws -> Bool where Rows.Element == W.Row {
        while !isFull {
            guard let row = rows.next() else { return false }
            try withUnsafePointer(to: row) { row in try writer.write(row, &self) }
        }
        return true
    }

    mutating func fill<Rows: AsyncIteratorProtocol, W: RowWriter>(
        from rows: inout Rows, _ writer: W
    ) async throws -> Bool where Rows.Element == W.Row {
        while !isFull {
            guard let row = try await rows.next(isolation: #isolation) else { return false }
            try withUnsafePointer(to: row) { row in try writer.write(row, &self) }
        }
        return true
    }
}

/// How a row's values reach the encoder.
protocol RowWriter {
    associatedtype Row
    init()
    /// The forms of a row's values, in order.
    static var kinds: [CopyEncoder.Kind] { get }
    /// A pointer to a `Row`: a tuple that is passed as such is taken apart and copied on its way.
    func write(_ row: UnsafeRawPointer, _ encoder: inout CopyEncoder) throws
}

struct TupleWriter<each T: SQLEncodable>: RowWriter {
    typealias Row = (repeat each T)

    /// Where each element lies in the tuple; nil when the tuple's layout is not the expected one.
    private let offsets: [Int]? = TupleLayout.offsets(of: repeat (each T).self, size: MemoryLayout<Row>.size)

    static var kinds: [CopyEncoder.Kind] {
        var kinds: [CopyEncoder.Kind] = []
        repeat kinds.append(CopyEncoder.Kind((each T).self))
        return kinds
    }

    func write(_ row: UnsafeRawPointer, _ encoder: inout CopyEncoder) throws {
        encoder.beginRow()
        guard let offsets else { return try writeByLanguage(row, &encoder) }
        var column = 0
        repeat try Self.write((each T).self, row, offsets, &column, &encoder)
    }

    /// Out of the way: it asks the runtime for the tuple's type.
    @inline(never)
    private func writeByLanguage(_ row: UnsafeRawPointer, _ encoder: inout CopyEncoder) throws {
        let row = row.assumingMemoryBound(to: Row.self).pointee
        repeat try encoder.field(each row)
    }

    @inline(__always)
    private static func write<Element: SQLEncodable>(
        _ type: Element.Type, _ row: UnsafeRawPointer, _ offsets: [Int], _ column: inout Int,
        _ encoder: inout CopyEncoder
    ) throws {
        try encoder.field((row + offsets[column]).assumingMemoryBound(to: Element.self).pointee)
        column += 1
    }
}

struct ScalarWriter<T: SQLEncodable>: RowWriter {
    typealias Row = T

    static var kinds: [CopyEncoder.Kind] { [CopyEncoder.Kind(T.self)] }

    func write(_ row: UnsafeRawPointer, _ encoder: inout CopyEncoder) throws {
        encoder.beginRow()
        try encoder.field(row.assumingMemoryBound(to: T.self).pointee)
    }
}

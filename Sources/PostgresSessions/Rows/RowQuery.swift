internal import PostgresWire

/// A statement and the Swift type of its rows. Nothing is sent before one of its terminals is called.
///
/// Each terminal is one round trip. Throws ``ServerError`` where the server refuses the statement and
/// ``EngineError/decoding(_:)``, naming column, types and row, where a value does not fit.
public struct RowQuery<T> {
    let runner: StatementRunner
    let query: SQLQuery
    let decoding: RowDecoding<T>

    /// Every row, in the server's order. Where there are many, they are decoded as they come.
    public consuming func all() async throws -> sending [T] {
        guard decoding.copiesValues else { return try decoding.rows(of: try await runner.run(query)) }
        let collector = RowCollector(decoding)
        return try collector.rows(andThoseOf: try await runner.run(query, into: collector))
    }

    /// The first row, or nil. Further rows are fetched and dropped: say LIMIT 1.
    public consuming func first() async throws -> sending T? {
        let result = try await runner.run(query)
        guard result.rowCount > 0 else { return try decoding.nothing(in: result) }
        return try decoding.value(of: result, row: 0)
    }

    /// The only row. Throws ``EngineError/unexpectedRowCount(_:)`` unless there is exactly one.
    public consuming func one() async throws -> sending T {
        let result = try await runner.run(query)
        guard result.rowCount == 1 else {
            _ = try decoding.decoder(for: result)
            throw EngineError.unexpectedRowCount(
                "\(result.rowCount) rows where exactly one was expected, from: \(query.text.excerpt)")
        }
        return try decoding.value(of: result, row: 0)
    }

    /// The only row, or nil when there is none. Throws ``EngineError/unexpectedRowCount(_:)`` when there are more.
    public consuming func oneOrNil() async throws -> sending T? {
        let result = try await runner.run(query)
        guard result.rowCount > 0 else { return try decoding.nothing(in: result) }
        guard result.rowCount == 1 else {
            _ = try decoding.decoder(for: result)
            throw EngineError.unexpectedRowCount(
                "\(result.rowCount) rows where at most one was expected, from: \(query.text.excerpt)")
        }
        return try decoding.value(of: result, row: 0)
    }
}

extension RowDecoding {
    /// nil, where there are no rows; but columns that `T` cannot come from are an error all the same.
    func nothing(in result: WireResult) throws(EngineError) -> sending T? {
        _ = try decoder(for: result)
        return nil
    }

    /// Every row of a result. (It captures nothing of the session, so that its rows may leave the session's task.)
    func rows(of result: WireResult) throws(EngineError) -> sending [T] {
        try decoder(for: result).decodeAll(result)
    }

    /// The columns of a prepared statement come with its result; others are read off it.
    func decoder(for result: WireResult) throws(EngineError) -> RowDecoder<T> {
        guard let columns = result.attachment as? RowColumns else { return try makeDecoder(for: result) }
        return try makeDecoder(for: columns)
    }
}

package import PostgresWire

/// One row of a result, read by column name or index; what queries without a type give.
///
/// A row keeps its whole result in memory as long as it lives.
public struct ResultRow: Sendable {
    private let result: WireResult
    private let names: RowColumns
    private let row: Int

    package init(result: WireResult, columns: RowColumns, row: Int) {
        self.result = result
        self.names = columns
        self.row = row
    }

    /// The columns' names, in the order of the statement.
    public var columns: [String] { names.names }

    /// How many columns the row has.
    public var count: Int { names.count }

    /// The value of the first column of this name: `try row["name", as: String.self]`.
    ///
    /// Throws ``EngineError/decoding(_:)`` when there is no such column or its value does not fit.
    public subscript<T: SQLDecodable>(_ column: String, as type: T.Type) -> T {
        get throws {
            guard let index = names.index(of: column) else {
                throw missing("\"\(column)\"", type)
            }
            return try self[index, as: type]
        }
    }

    /// The value of a column by its index, from 0.
    ///
    /// Throws ``EngineError/decoding(_:)`` when there is no such column or its value does not fit.
    public subscript<T: SQLDecodable>(_ column: Int, as type: T.Type) -> T {
        get throws {
            guard names.names.indices.contains(column) else {
                throw missing(String(column), type)
            }
            do {
                guard let bytes = result.cell(row: row, column: column) else {
                    if let null = T.sqlNull { return null }
                    throw SQLValueError.null(T.self)
                }
                let (type, form) = names.kind(of: column)
                return try T(sqlCell: SQLCell(bytes: bytes, type: type, form: form))
            } catch {
                throw EngineError.decoding(failure(error, column, type))
            }
        }
    }

    private func missing<T>(_ column: String, _ type: T.Type) -> EngineError {
        let reason = "there is no column \(column); the result has \(names.description)"
        return .decoding(DecodingFailure(type: "\(T.self)", row: row, reason: reason))
    }

    private func failure<T>(_ error: any Error, _ column: Int, _ type: T.Type) -> DecodingFailure {
        DecodingFailure(
            column: names.names[column], sqlType: names.types[column], sqlTypeName: names.typeName(of: column),
            type: "\(T.self)", row: row,
            reason: (error as? SQLValueError)?.reason ?? "its initializer threw \(Swift.type(of: error))")
    }
}

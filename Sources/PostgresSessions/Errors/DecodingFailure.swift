/// Which value of a result does not fit the Swift type that was asked for, and why.
///
/// Names the column, the types, the row and the reason; never quotes the value.
public struct DecodingFailure: Error, Sendable {
    /// The column's name; nil when the failure is about the row as a whole.
    public let column: String?
    /// The column's PostgreSQL type; nil when the failure is about the row as a whole.
    public let sqlType: SQLType?
    /// The Swift type that was asked for.
    public let type: String
    /// The row's number in its result, from 0; nil when the result as a whole does not fit.
    public let row: Int?
    /// What is wrong, in words.
    public let reason: String
    /// The database's own name for the type, where it is not built in.
    private let sqlTypeName: String?

    package init(
        column: String? = nil, sqlType: SQLType? = nil, sqlTypeName: String? = nil, type: String, row: Int? = nil,
        reason: String
    ) {
        self.sqlTypeName = sqlTypeName
        self.column = column
        self.sqlType = sqlType
        self.type = type
        self.row = row
        self.reason = reason
    }
}

extension DecodingFailure: CustomStringConvertible {
    public var description: String {
        var text = ""
        if let column { text += "column \"\(column)\"" }
        if let sqlType { text += " (\(sqlTypeName ?? sqlType.description))" }
        if let row { text += column == nil ? "row \(row)" : " of row \(row)" }
        return text + (text.isEmpty ? "as " : " as ") + "\(type): \(reason)"
    }
}

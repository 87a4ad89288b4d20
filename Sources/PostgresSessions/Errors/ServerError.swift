/// A statement that the server refused, with everything that the server said about it.
///
/// The fields are those of PostgreSQL's error report:
/// https://www.postgresql.org/docs/current/protocol-error-fields.html
/// Messages, details and hints are the server's words, and may quote values of the row in question.
public struct ServerError: Error, Sendable {
    // One reference, so that an error travels in a single word.
    private let report: Report

    private final class Report: Sendable {
        let sqlState: SQLState
        let severity: String
        let message: String
        let optional: [Field: String]
        let position: Int?
        let isStaleStatement: Bool

        init(
            sqlState: SQLState, severity: String, message: String, optional: [Field: String], position: Int?,
            isStaleStatement: Bool
        ) {
            self.sqlState = sqlState
            self.severity = severity
            self.message = message
            self.optional = optional
            self.position = position
            self.isStaleStatement = isStaleStatement
        }
    }

    private enum Field: Hashable {
        case detail, hint, constraint, table, column, schema, dataType, context, query
    }

    package init(
        sqlState: SQLState, severity: String, message: String, detail: String? = nil, hint: String? = nil,
        constraint: String? = nil, table: String? = nil, column: String? = nil, schema: String? = nil,
        dataType: String? = nil, context: String? = nil, position: Int? = nil, query: String? = nil,
        isStaleStatement: Bool = false, lacksBinaryForm: Bool = false
    ) {
        var optional: [Field: String] = [:]
        optional[.detail] = detail
        let remedy =
            lacksBinaryForm
            ? Self.binaryHint : Self.remedy(sqlState, message) ?? (isStaleStatement ? Self.staleHint : nil)
        optional[.hint] = remedy.map { remedy in hint.map { "\($0) \(remedy)" } ?? remedy } ?? hint
        optional[.constraint] = constraint
        optional[.table] = table
        optional[.column] = column
        optional[.schema] = schema
        optional[.dataType] = dataType
        optional[.context] = context
        optional[.query] = query
        report = Report(
            sqlState: sqlState, severity: severity, message: message, optional: optional, position: position,
            isStaleStatement: isStaleStatement)
    }

    /// What to do about an error that comes of how this library sends values, or keeps statements.
    private static func remedy(_ state: SQLState, _ message: String) -> String? {
        switch state {
        case .invalidSqlStatementName: poolerHint
        case .syntaxError: message.contains("multiple commands") ? oneHint : nil
        case .datatypeMismatch, .undefinedFunction:
            if mixesRanges(message) { rangeHint } else { message.contains("bigint") ? integerHint : nil }
        default: nil
        }
    }

    private static let poolerHint =
        "through a pooler in transaction mode, prepared statements do not last: configure statementCacheSize: 0"

    private static let oneHint = "A text is one statement: several go through execute(batch:) or pipeline."

    private static let staleHint = """
        The statement was prepared when its tables, or the search path, were others: the transaction can be run again, which \
        retry: .onConflict does.
        """

    private static let binaryHint =
        "A column's type has no binary form: cast it to text, or say copyOut(_:format: .csv)."

    private static let integerHint = "An Int is bound as bigint: bind Int32 where integer is wanted."

    private static let rangeHint = """
        Bind SQLRange or SQLMultirange of Int32 for int4, of Int for int8, of Decimal for num, of SQLDate for date, of SQLTimestamp \
        for ts, and of Date for tstz.
        """

    /// A range of one type where one of another is wanted: the server converts none of them.
    private static func mixesRanges(_ message: String) -> Bool {
        guard message.contains("range") else { return false }
        return ["int4", "int8", "num", "date", "ts", "tstz"].count {
            message.contains($0 + "range") || message.contains($0 + "multirange")
        } > 1
    }

    /// What kind of error this is, `.uniqueViolation`.
    public var sqlState: SQLState { report.sqlState }
    /// `ERROR`, `FATAL` or `PANIC`, never localized.
    public var severity: String { report.severity }
    /// The server's one-line message, in the server's language.
    public var message: String { report.message }
    /// The server's longer explanation, which may quote values.
    public var detail: String? { report.optional[.detail] }
    /// The server's advice.
    public var hint: String? { report.optional[.hint] }
    /// The constraint that refused the row.
    public var constraint: String? { report.optional[.constraint] }
    /// The table that the error is about.
    public var table: String? { report.optional[.table] }
    /// The column that the error is about.
    public var column: String? { report.optional[.column] }
    /// The schema of the table, the type or the constraint.
    public var schema: String? { report.optional[.schema] }
    /// The type that the error is about.
    public var dataType: String? { report.optional[.dataType] }
    /// The calls inside the server, innermost first.
    public var context: String? { report.optional[.context] }
    /// Where in the query text the error is, in characters, from 1.
    public var position: Int? { report.position }
    /// The statement's text, with `$1` in place of its values.
    public var query: String? { report.optional[.query] }
    /// Of the prepared statement, not of what it says: the same work done again prepares anew.
    var isStaleStatement: Bool { report.isStaleStatement }
}

extension ServerError: CustomStringConvertible {
    /// The message, its place and the statement's text; the detail is left out, since it quotes values.
    public var description: String {
        var text = "\(severity) \(sqlState): \(message)"
        if let hint { text += "; hint: \(hint)" }
        let place = [("table", table), ("column", column), ("constraint", constraint)]
            .compactMap { name, value in value.map { "\(name) \($0)" } }
        if !place.isEmpty { text += " (\(place.joined(separator: ", ")))" }
        if let position { text += " at character \(position)" }
        if let copyPlace { text += " at \(copyPlace)" }
        if let query { text += " in: \(query.excerpt)" }
        return text
    }
}

extension ServerError {
    /// `COPY items, line 3, column price`: which row a COPY was refused for, without its value, which the context may quote.
    private var copyPlace: Substring? {
        guard let line = context?.split(separator: "\n").first(where: { $0.hasPrefix("COPY ") }) else { return nil }
        return line.firstRange(of: ": \"").map { line[..<$0.lowerBound] } ?? line
    }
}

extension String {
    /// For descriptions that end in logs: the beginning of a long text, and how long it is.
    var excerpt: String {
        let count = utf8.count
        return count <= 1_000 ? self : "\(prefix(1_000))… (\(count) bytes)"
    }
}

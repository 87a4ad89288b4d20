/// The form of a COPY's bytes: ``text``, ``csv`` or ``binary``, as https://www.postgresql.org/docs/current/sql-copy.html has them.
public struct CopyFormat: Sendable, Hashable {
    private let name: String
    private var hasHeader = false
    private var delimiter = ""

    private init(_ name: String) { self.name = name }

    /// A line for each row, tabs between columns, `\\N` for NULL.
    public static let text = CopyFormat("text")
    /// Comma-separated values without a header; an empty unquoted column is NULL.
    public static let csv = CopyFormat("csv")
    /// PostgreSQL's own binary form.
    public static let binary = CopyFormat("binary")

    /// Separated values; a header is skipped on the way in, and is the first line on the way out.
    public static func csv(header: Bool, delimiter: Character = ",") -> CopyFormat {
        var format = csv
        (format.hasHeader, format.delimiter) = (header, String(delimiter))
        return format
    }

    /// As COPY's grammar takes them.
    func options() throws(EngineError) -> String {
        var options = "FORMAT \(name)"
        if hasHeader { options += ", HEADER" }
        if !delimiter.isEmpty { options += ", DELIMITER \(try SQLQuery.literal(delimiter, what: "a delimiter").text)" }
        return options
    }
}

/// Where a COPY's bytes come from.
enum CopyInSource {
    /// Values of these kinds, which the encoder makes bytes of.
    case values([CopyEncoder.Kind])
    /// Bytes in the form that they are sent in.
    case bytes(CopyFormat)
}

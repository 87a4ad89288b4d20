/// Names of tables, columns and the like inside a statement's text.
enum SQLIdentifier {
    /// The name in double quotes, with its own quotes doubled.
    static func quoted(_ name: String) throws(SQLValueError) -> String {
        guard !name.isEmpty else { throw SQLValueError("an identifier: it is empty") }
        guard !name.utf8.contains(0) else { throw SQLValueError("an identifier: it contains a NUL character") }
        guard name.utf8.contains(UInt8(ascii: "\"")) else { return "\"\(name)\"" }
        return "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}

internal import PostgresWire

extension WireServerError {
    /// "cached plan must not change result type": a table has changed under a prepared statement. "cache lookup failed for
    /// type": a type was dropped under it, and it would fail for ever.
    var isStalePlan: Bool {
        sqlState == "0A000" && message.contains("cached plan")
            || sqlState == "XX000" && message.contains("cache lookup failed")
    }
    /// The prepared statement is gone from the server, or its name is taken.
    var isVanishedStatement: Bool { sqlState == "26000" || sqlState == "42P05" }
    /// A column's type has no binary form (aclitem, for one): the statement is said again, for text.
    var lacksBinaryForm: Bool {
        sqlState == "42883"
            && ["getTypeBinaryOutputInfo", "array_send", "get_range_io_data", "get_multirange_io_data"].contains(
                routine)
    }
    /// Repairable by preparing again, or asking for text, where nothing is lost by sending again.
    var isStaleStatement: Bool { isStalePlan || isVanishedStatement || lacksBinaryForm }
}

extension WireResult {
    /// The first value of the first row, as text.
    var firstText: String? {
        rowCount > 0 ? cell(row: 0, column: 0).map { String(decoding: $0, as: UTF8.self) } : nil
    }
}

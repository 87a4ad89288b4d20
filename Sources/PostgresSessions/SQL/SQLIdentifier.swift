/// Names of tables, columns and the like inside a statement's text.
enum SQLIdentifier {
    /// The name in double quotes, with its own quotes doubled.
    static func quoted(_ name: String) throws(SQLValueError) -> String {
        guard !name.isEmpty else { throw SQLValueError("an identifier: it is empty") }
        guard !name.containsNUL else { throw SQLValueError("an identifier: it contains a NUL character") }
        return "\"" + name.escaping("\"", with: { $0 }) + "\""
    }

    /// The name as PostgreSQL's `quote_ident` prints it: in quotes only where it would be misread without.
    static func quotedWhereNeeded(_ name: String) throws(SQLValueError) -> String {
        isPlain(name) && !keywords.contains(name) ? name : try quoted(name)
    }

    /// A name whose dots divide it into parts: `shop.items`.
    static func qualified(_ name: String) throws(SQLValueError) -> String {
        var parts: [String] = []
        for part in name.split(separator: ".", omittingEmptySubsequences: false) {
            parts.append(try quotedWhereNeeded(String(part)))
        }
        return parts.joined(separator: ".")
    }

    private static func isPlain(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(48...57).contains(first) else { return false }
        return name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == UInt8(ascii: "_") }
    }

    /// Every keyword that is not of the category "unreserved" (`pg_get_keywords()`, versions 14 to 17).
    private static let keywords = Set(
        """
        all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both
        case cast char character check coalesce collate collation column concurrently constraint create cross
        current_catalog current_date current_role current_schema current_time current_timestamp current_user dec
        decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
        freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect
        interval into is isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query
        json_scalar json_serialize json_table json_value lateral leading least left like limit localtime
        localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset on
        only or order out outer overlaps overlay placing position precision primary real references returning right
        row select session_user setof similar smallint some substring symmetric table tablesample then time
        timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where
        window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
        xmlserialize xmltable
        """.split { $0 == " " || $0 == "\n" }.map(String.init))
}

extension StringProtocol {
    /// The text with an escape before each of the special characters, which are ASCII.
    ///
    /// By bytes, as the server reads it: a quote and the accent behind it are one `Character`, which is no quote.
    func escaping(_ special: String, with escape: (UInt8) -> UInt8) -> String {
        guard utf8.contains(where: special.utf8.contains) else { return String(self) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(utf8.count + 8)
        for byte in utf8 {
            if special.utf8.contains(byte) { bytes.append(escape(byte)) }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The text of types that a database defines for itself, whose kind an object id does not tell.
///
/// The binary form of enums, of `citext` and their like is their text, which begins with no NUL. Composites, arrays and
/// hstore begin with a small count, and every length in them must fit. What is none of these, or nested too deeply, is shown as hex.
enum UserTypeForm {
    static func text(_ cell: SQLCell, depth: Int) -> String {
        let bytes = cell.bytes
        if ArrayForm.mayBeArray(bytes), let text = try? TextForm.array(cell, depth: depth) { return text }
        let isUsers = cell.type == .record || cell.type.rawValue >= SQLCell.firstUserDefinedType
        if isUsers, bytes.count >= 4, bytes[0] == 0 {
            if let text = try? composite(cell, depth) { return text }
            if let text = try? SQLHStore(sqlCell: cell).text(separator: ", ") { return text }
        }
        guard !bytes.containsNUL, let text = bytes.validUTF8 else { return "\\x" + ByteForm.hex(bytes) }
        return text
    }

    /// `(1,"a b",)`, as `record_out` prints it.
    private static func composite(_ cell: SQLCell, _ depth: Int) throws -> String {
        let fields = try CompositeFields(cell)
        guard fields.count > 0 || cell.type == .record else { throw SQLValueError("no composite") }
        var parts: [String] = []
        for index in 0..<fields.count {
            guard let field = try fields.field(index) else {
                parts.append("")
                continue
            }
            guard field.type.rawValue >= 16 else { throw SQLValueError("no composite") }
            let text =
                field.type == .bool
                ? try Bool(sqlCell: field) ? "t" : "f" : try TextForm.render(field, depth: depth + 1)
            parts.append(TextForm.quoted(text, if: "\"\\(),"))
        }
        return "(" + parts.joined(separator: ",") + ")"
    }
}

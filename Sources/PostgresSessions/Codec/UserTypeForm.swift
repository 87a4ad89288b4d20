/// The text of types that a database defines for itself, as the catalog knows them.
enum UserTypeForm {
    /// What has a form that nobody knows is refused: its bytes are not what `::text` would print.
    static func text(_ cell: SQLCell, depth: Int) throws -> String {
        if cell.fieldTypes != nil { return try composite(cell, depth) }
        switch cell.kind {
        case .hstore?: return try SQLHStore(sqlCell: cell).text(separator: ", ")
        case .versionedText?: return try versioned(cell.bytes)
        case .cube?: return try cube(cell.bytes)
        default: throw cell.unsupported(String.self)
        }
    }

    static func versioned(_ bytes: UnsafeRawBufferPointer) throws -> String {
        guard bytes.first == 1, let text = UnsafeRawBufferPointer(rebasing: bytes.dropFirst()).validUTF8 else {
            throw SQLValueError("text of an unknown version")
        }
        return text
    }

    /// `(1,"a b",)`, as `record_out` prints it.
    static func composite(_ cell: SQLCell, _ depth: Int) throws -> String {
        let fields = try CompositeFields(cell)
        var parts: [String] = []
        for index in 0..<fields.count {
            guard let field = try fields.field(index) else {
                parts.append("")
                continue
            }
            let text =
                field.type == .bool
                ? try Bool(sqlCell: field) ? "t" : "f" : try TextForm.render(field, depth: depth + 1)
            parts.append(TextForm.quoted(text, if: "\"\\(),"))
        }
        return "(" + parts.joined(separator: ",") + ")"
    }

    /// `(1, 2),(3, 4)`: a word with the number of dimensions, its highest bit for a point, then its corners (`cube_send`).
    private static func cube(_ bytes: UnsafeRawBufferPointer) throws -> String {
        var reader = ByteReader(bytes)
        let header = try reader.integer(UInt32.self)
        let (count, isPoint) = (Int(header & 0x7FFF_FFFF), header >> 31 != 0)
        guard reader.remaining == 8 * count * (isPoint ? 1 : 2) else {
            throw SQLValueError("a cube whose length does not match its dimensions")
        }
        var corners: [String] = []
        for _ in 0..<(isPoint ? 1 : 2) {
            let numbers = try (0..<count).map { _ in
                FloatForm.text(Double(bitPattern: try reader.integer(UInt64.self)))
            }
            corners.append("(" + numbers.joined(separator: ", ") + ")")
        }
        return corners.joined(separator: ",")
    }
}

/// The text of the server's own lesser types, which have no Swift type here.
enum SystemTypeForm {
    /// nil for a type that is not among them.
    static func text(_ cell: SQLCell, depth: Int) throws -> String? {
        switch cell.type.rawValue {
        case 18: return try character(cell.bytes)  // "char"
        case 22, 30: return try vector(cell, depth)  // int2vector, oidvector
        case 27: return try rowAddress(cell.bytes)  // tid
        case 24, 2202...2206, 3734, 3769, 4089, 4096, 4191:  // regproc and its kin: the object's id, not its name
            return String(try cell.integer(UInt32.self))
        case 3220: return try logPosition(cell)  // pg_lsn
        case 3614: return try lexemes(cell.bytes)  // tsvector
        case 3615: return try TextSearchForm.query(cell.bytes)  // tsquery
        case 2970, 5038: return try snapshot(cell.bytes)  // txid_snapshot, pg_snapshot
        case 4072: return try UserTypeForm.versioned(cell.bytes)  // jsonpath
        case 1790, 2275, 705, 194: return try cell.utf8()  // refcursor, cstring, unknown, pg_node_tree
        case 2278: return ""  // void
        default: return nil
        }
    }

    private static func character(_ bytes: UnsafeRawBufferPointer) throws -> String {
        var reader = try ByteReader(bytes, count: 1)
        let byte = try reader.integer(UInt8.self)
        if byte == 0 { return "" }
        if byte < 128 { return String(UnicodeScalar(byte)) }
        let octal = String(byte, radix: 8)
        return "\\" + octal
    }

    private static func vector(_ cell: SQLCell, _ depth: Int) throws -> String {
        var reader = try BinaryArrayReader(cell)
        var parts: [String] = []
        while parts.count < reader.dimensions.first ?? 0 {
            guard let element = try reader.next() else { throw SQLValueError("a vector with a NULL in it") }
            parts.append(try TextForm.render(element, depth: depth + 1))
        }
        try reader.finish()
        return parts.joined(separator: " ")
    }

    private static func rowAddress(_ bytes: UnsafeRawBufferPointer) throws -> String {
        var reader = try ByteReader(bytes, count: 6)
        return "(\(try reader.integer(UInt32.self)),\(try reader.integer(UInt16.self)))"
    }

    private static func logPosition(_ cell: SQLCell) throws -> String {
        let position = try cell.integer(UInt64.self)
        func hex(_ half: UInt64) -> String { String(half, radix: 16, uppercase: true) }
        return hex(position >> 32) + "/" + hex(position & 0xFFFF_FFFF)
    }

    private static func snapshot(_ bytes: UnsafeRawBufferPointer) throws -> String {
        var reader = ByteReader(bytes)
        let count = Int(try reader.integer(Int32.self))
        guard count >= 0, reader.remaining == 16 + 8 * count else {
            throw SQLValueError("a snapshot of another length")
        }
        let (first, end) = (try reader.integer(UInt64.self), try reader.integer(UInt64.self))
        var running: [String] = []
        for _ in 0..<count { running.append(String(try reader.integer(UInt64.self))) }
        return "\(first):\(end):\(running.joined(separator: ","))"
    }

    /// `'fat':2,4B 'cat':3`: a count, then each lexeme, a NUL, its count of positions, each of 14 bits and a weight of 2
    /// (`tsvectorsend` in tsvector.c).
    private static func lexemes(_ bytes: UnsafeRawBufferPointer) throws -> String {
        var reader = ByteReader(bytes)
        let count = Int(try reader.integer(Int32.self))
        guard count >= 0, count <= reader.remaining / 3 else { throw SQLValueError("a tsvector of \(count) lexemes") }
        var parts: [String] = []
        for _ in 0..<count {
            let text = try reader.terminatedText()
            let escaped = text.escaping("'\\", with: { $0 })
            var positions: [String] = []
            for _ in 0..<(try reader.integer(UInt16.self)) {
                let position = try reader.integer(UInt16.self)
                positions.append(String(position & 0x3FFF) + ["", "C", "B", "A"][Int(position >> 14)])
            }
            parts.append(
                "'" + escaped + "'" + (positions.isEmpty ? "" : ":" + positions.joined(separator: ",")))
        }
        guard reader.remaining == 0 else { throw SQLValueError("a tsvector with \(reader.remaining) bytes too many") }
        return parts.joined(separator: " ")
    }
}

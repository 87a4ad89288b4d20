internal import PostgresWire

/// Rows in COPY's binary format, for a table whose column types are known.
///
/// Source: https://www.postgresql.org/docs/current/sql-copy.html (Binary Format). The server reads each field as its column's
/// type, so a value of another type is converted where that is exact, and refused, naming the column, where it is not.
struct CopyEncoder {
    struct Column: Sendable {
        var name: String
        var type: UInt32
    }

    let columns: [Column]
    private(set) var buffer = SQLEncodingBuffer()
    private var column = 0
    private var row = 0

    /// Signature, flags and the length of the header's extension.
    private static let header: [UInt8] =
        Array("PGCOPY\n\u{FF}\r\n\0".unicodeScalars.map { UInt8($0.value) }) + [0, 0, 0, 0, 0, 0, 0, 0]

    init(_ columns: [Column]) {
        self.columns = columns
        buffer.bytes = Self.header
    }

    /// About what one write hands over.
    var isFull: Bool { buffer.bytes.count >= 1 << 16 }

    mutating func beginRow() {
        row += 1
        column = 0
        append(Int16(columns.count))
    }

    mutating func finish() { append(Int16(-1)) }

    mutating func removeAll() { buffer.bytes.removeAll(keepingCapacity: true) }

    mutating func field<V: SQLEncodable>(_ value: V) throws {
        defer { column += 1 }
        guard column < columns.count else {
            throw EngineError.encoding("row \(row) has more values than there are columns (\(columns.count))")
        }
        guard !value.isSQLNull else { return append(Int32(-1)) }
        let target = columns[column].type
        let start = buffer.bytes.count
        append(Int32(0))
        do {
            if target == 3802 && V.sqlFormat == .text { buffer.bytes.append(1) }  // jsonb's version
            try value.encode(into: &buffer)
            if V.sqlType.rawValue != target { try convert(V.self, from: start + 4, to: target) }
        } catch {
            let reason = (error as? SQLValueError)?.reason ?? "its encoding threw \(Swift.type(of: error))"
            throw EngineError.encoding("row \(row), column \"\(columns[column].name)\": \(reason)")
        }
        let length = UInt32(buffer.bytes.count - start - 4)
        for i in 0..<4 { buffer.bytes[start + i] = UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32(i))) }
    }

    private mutating func append<I: FixedWidthInteger>(_ value: I) {
        withUnsafeBytes(of: value.bigEndian) { buffer.bytes.append(contentsOf: $0) }
    }

    // MARK: Conversion

    private mutating func convert<V: SQLEncodable>(_ type: V.Type, from start: Int, to target: UInt32) throws {
        if V.sqlFormat == .text {
            if Self.isTextual(target) || target == 3802 { return }
        } else if let width = Self.integerWidth[target], Self.integerWidth[V.sqlType.rawValue] != nil {
            return try resizeInteger(from: start, to: width)
        } else if target == 700 && V.sqlType.rawValue == 701 {
            let value = Double(bitPattern: UInt64(bitPattern: Int64(try signedInteger(from: start))))
            return replace(from: start, with: UInt32(Float(value).bitPattern))
        } else if target == 701 && V.sqlType.rawValue == 700 {
            let bits = UInt32(truncatingIfNeeded: try signedInteger(from: start))
            return replace(from: start, with: Double(Float(bitPattern: bits)).bitPattern)
        } else if [1114, 1184].contains(target) && [1114, 1184].contains(V.sqlType.rawValue) {
            return
        } else if V.sqlType.rawValue == 0 || (target >= 16384 && Self.isTextual(V.sqlType.rawValue)) {
            return
        }
        throw SQLValueError("a value of type \(V.sqlType) does not fit a column of type \(SQLType(rawValue: target))")
    }

    private static let integerWidth: [UInt32: Int] = [21: 2, 23: 4, 20: 8, 26: 4]

    /// Types whose binary form is their text: text, varchar, bpchar, name, json, xml, unknown, and whatever is not built in.
    private static func isTextual(_ type: UInt32) -> Bool {
        [25, 1043, 1042, 19, 114, 142, 705].contains(type) || type >= 16384
    }

    private func signedInteger(from start: Int) throws -> Int {
        let bytes = buffer.bytes[start...]
        guard let first = bytes.first, bytes.count <= 8 else { throw SQLValueError("it is not an integer") }
        return bytes.dropFirst().reduce(Int(Int8(bitPattern: first))) { $0 << 8 | Int($1) }
    }

    private mutating func resizeInteger(from start: Int, to width: Int) throws {
        let value = try signedInteger(from: start)
        switch width {
        case 2:
            guard let small = Int16(exactly: value) else { throw SQLValueError("the number is out of int2's range") }
            replace(from: start, with: small)
        case 4:
            guard let small = Int32(exactly: value) else { throw SQLValueError("the number is out of int4's range") }
            replace(from: start, with: small)
        default: replace(from: start, with: Int64(value))
        }
    }

    private mutating func replace<I: FixedWidthInteger>(from start: Int, with value: I) {
        buffer.bytes.removeSubrange(start...)
        append(value)
    }
}

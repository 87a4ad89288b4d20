internal import PostgresWire

/// Rows in one of COPY's formats, for a table whose column types are known.
///
/// Source: https://www.postgresql.org/docs/current/sql-copy.html. In binary, the server reads each field as its column's
/// type, so a value of another type is converted where that is exact, and refused, naming the column, where it is not.
/// Where a column wants another form than a value's Swift type has (text into `date`, an Int into `numeric`), all go as
/// text, which the server's own input functions read.
struct CopyEncoder {
    struct Column: Sendable {
        var name: String
        var type: UInt32
    }

    /// What the type of a row's values says of their form.
    struct Kind: Sendable {
        var type: SQLType
        var format: SQLFormat

        init<V: SQLEncodable>(_ type: V.Type) { (self.type, format) = (V.sqlType, V.sqlFormat) }
    }

    let columns: [Column]
    /// How each column's values get into it.
    private let fits: [CopyFit]
    let format: SQLFormat
    /// What is sent is in its form already.
    private let isRaw: Bool
    private(set) var buffer = SQLEncodingBuffer()
    /// One value on its way to text.
    private var value = SQLEncodingBuffer()
    private var column = 0
    private var row = 0

    /// Signature, flags and the length of the header's extension.
    private static let header: [UInt8] =
        Array("PGCOPY\n\u{FF}\r\n\0".unicodeScalars.map { UInt8($0.value) }) + [0, 0, 0, 0, 0, 0, 0, 0]

    init(_ columns: [Column], for kinds: [Kind]) {
        self.columns = columns
        isRaw = false
        fits = zip(kinds, columns).map { CopyFit($0, into: $1.type) }
        format = fits.contains(.text) ? .text : .binary
        if format == .binary { buffer.bytes = Self.header }
    }

    /// For bytes that need no encoding.
    init() { (columns, fits, format, isRaw) = ([], [], .text, true) }

    mutating func append(_ bytes: some Sequence<UInt8>) throws {
        buffer.bytes.append(contentsOf: bytes)
        guard buffer.count <= SQLQuery.maximumSize else {
            throw EngineError.encoding("a piece of COPY's is larger than 1 GiB")
        }
    }

    /// About what one write hands over.
    var isFull: Bool { buffer.bytes.count >= 1 << 16 }

    mutating func beginRow() {
        if format == .text && row > 0 { buffer.bytes.append(UInt8(ascii: "\n")) }
        row += 1
        column = 0
        if format == .binary { buffer.append(bigEndian: Int16(columns.count)) }
    }

    mutating func finish() {
        guard !isRaw else { return }
        switch format {
        case .binary: buffer.append(bigEndian: Int16(-1))
        case .text: if row > 0 { buffer.bytes.append(UInt8(ascii: "\n")) }
        }
    }

    mutating func removeAll() { buffer.bytes.removeAll(keepingCapacity: true) }

    mutating func field<V: SQLEncodable>(_ value: V) throws {
        defer { column += 1 }
        guard column < columns.count else {
            throw EngineError.encoding("row \(row) has more values than there are columns (\(columns.count))")
        }
        do {
            switch format {
            case .binary: try appendBinary(value)
            case .text: try appendText(value)
            }
            guard buffer.count <= SQLQuery.maximumSize else {
                throw SQLValueError("with this value the row is larger than 1 GiB")
            }
        } catch {
            let reason = (error as? SQLValueError)?.reason ?? "its encoding threw \(Swift.type(of: error))"
            throw EngineError.encoding("row \(row), column \"\(columns[column].name)\": \(reason)")
        }
    }

    // MARK: Text

    private mutating func appendText<V: SQLEncodable>(_ value: V) throws {
        if column > 0 { buffer.bytes.append(UInt8(ascii: "\t")) }
        guard !value.isSQLNull else { return buffer.append("\\N".utf8) }
        self.value.bytes.removeAll(keepingCapacity: true)
        try value.encode(into: &self.value)
        guard fits[column] != .never else { throw mismatch(V.self) }
        if V.sqlFormat == .text {
            try self.value.refuseNUL(from: 0)
            return appendEscaped(self.value.bytes)
        }
        let text = try self.value.bytes.withUnsafeBytes { bytes in
            try TextForm.render(SQLCell(bytes: bytes, type: V.sqlType, isBinary: true))
        }
        appendEscaped(Array(text.utf8))
    }

    private mutating func appendEscaped(_ text: [UInt8]) {
        for byte in text {
            switch byte {
            case UInt8(ascii: "\\"): buffer.append("\\\\".utf8)
            case UInt8(ascii: "\t"): buffer.append("\\t".utf8)
            case UInt8(ascii: "\n"): buffer.append("\\n".utf8)
            case UInt8(ascii: "\r"): buffer.append("\\r".utf8)
            default: buffer.bytes.append(byte)
            }
        }
    }

    private func mismatch<V: SQLEncodable>(_ type: V.Type) -> SQLValueError {
        let target = SQLType(rawValue: columns[column].type)
        return SQLValueError("a value of type \(V.sqlType) does not fit a column of type \(target)")
    }

    // MARK: Binary

    private mutating func appendBinary<V: SQLEncodable>(_ value: V) throws {
        guard !value.isSQLNull else { return buffer.append(bigEndian: Int32(-1)) }
        let target = columns[column].type
        let start = buffer.bytes.count
        buffer.append(bigEndian: Int32(0))
        if target == 3802 && V.sqlFormat == .text { buffer.bytes.append(1) }  // jsonb's version
        try value.encode(into: &buffer)
        if V.sqlType.rawValue != target { try convert(V.self, from: start + 4, to: target) }
        buffer.overwrite(Int32(truncatingIfNeeded: buffer.bytes.count - start - 4), at: start)
    }

    private mutating func convert<V: SQLEncodable>(_ type: V.Type, from start: Int, to target: UInt32) throws {
        guard fits[column] == .binary else { throw mismatch(type) }
        guard V.sqlFormat == .binary else { return }
        if let width = CopyFit.integerWidth[target], CopyFit.integerWidth[V.sqlType.rawValue] != nil {
            try resizeInteger(from: start, to: target == 26 ? 0 : width)
        } else if target == 700 && V.sqlType == .float8 {
            let value = Double(bitPattern: UInt64(bitPattern: Int64(try signedInteger(from: start))))
            replace(from: start, with: UInt32(Float(value).bitPattern))
        } else if target == 701 && V.sqlType == .float4 {
            let bits = UInt32(truncatingIfNeeded: try signedInteger(from: start))
            replace(from: start, with: Double(Float(bitPattern: bits)).bitPattern)
        }
    }

    private func signedInteger(from start: Int) throws -> Int {
        let bytes = buffer.bytes[start...]
        guard let first = bytes.first, bytes.count <= 8 else { throw SQLValueError("it is not an integer") }
        return bytes.dropFirst().reduce(Int(Int8(bitPattern: first))) { $0 << 8 | Int($1) }
    }

    private mutating func resizeInteger(from start: Int, to width: Int) throws {
        let value = try signedInteger(from: start)
        switch width {
        case 0:
            guard let small = UInt32(exactly: value) else { throw SQLValueError("the number is out of oid's range") }
            replace(from: start, with: small)
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
        buffer.append(bigEndian: value)
    }
}

/// How values of a Swift type get into a column of COPY.
enum CopyFit {
    /// Their binary form is the column's, or can be made so.
    case binary
    /// Through the text that the column's input function reads.
    case text
    /// Not without losing something, or guessing.
    case never

    static let integerWidth: [UInt32: Int] = [21: 2, 23: 4, 20: 8, 26: 4]

    init(_ kind: CopyEncoder.Kind, into target: UInt32) {
        let source = kind.type.rawValue
        if kind.format == .text {
            // A composite, an array or an extension's type may hide behind an id that is not built in: only text is sure.
            self = Self.isText(target) || target == 3802 ? .binary : .text
        } else if source == target || Self.converts(source, target) {
            self = .binary
        } else if let element = kind.type.element, let wanted = SQLType(rawValue: target).element {
            self = Self.reads(element.rawValue, as: wanted.rawValue) ? .text : .never
        } else {
            self = Self.reads(source, as: target) ? .text : .never
        }
    }

    private static func converts(_ source: UInt32, _ target: UInt32) -> Bool {
        let floats: [UInt32] = [700, 701]
        return (integerWidth[source] != nil && integerWidth[target] != nil)
            || (floats.contains(source) && floats.contains(target))
            || (source == 1184 && target == 1114)  // as UTC shows it; the other way, the session's zone counts
    }

    private static func reads(_ source: UInt32, as target: UInt32) -> Bool {
        let numbers: [UInt32] = [20, 21, 23, 26, 700, 701, 1700]
        if source == 0 || source == target || isText(target) || SQLType(rawValue: target).isOfDatabase { return true }
        if numbers.contains(source) { return numbers.contains(target) }
        switch source {
        case 1184, 1114: return [1184, 1114].contains(target)
        case 1082: return [1184, 1114].contains(target)  // a date is midnight
        case 3802, 114: return [3802, 114].contains(target)
        case 3926, 3904, 3906: return [3926, 3904, 3906].contains(target)  // ranges of whole numbers, and of any
        case 4536, 4451, 4532: return [4536, 4451, 4532].contains(target)
        case 3910, 3908: return [3910, 3908].contains(target)  // ranges of moments
        case 4534, 4533: return [4534, 4533].contains(target)
        case 1560, 1562: return [1560, 1562].contains(target)
        case 869, 650: return [869, 650].contains(target)
        default: return false
        }
    }

    /// Types whose binary form is their text: text, varchar, bpchar, name, json, xml, unknown.
    private static func isText(_ type: UInt32) -> Bool { [25, 1043, 1042, 19, 114, 142, 705].contains(type) }
}

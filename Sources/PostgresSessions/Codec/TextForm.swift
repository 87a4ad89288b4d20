/// What psql would show of a value, from either form: with DateStyle ISO, IntervalStyle postgres, and times in UTC.
///
/// Floating-point numbers have the fewest digits that read back as the same number; the server has now and then one more.
enum TextForm {
    /// How deep arrays and composites may lie in each other. Each level doubles the quotes of those in it, so what lies
    /// much deeper has a text that neither side could hold.
    private static let maximumDepth = 16

    static func render(_ cell: SQLCell, depth: Int = 0) throws -> String {
        guard cell.isBinary else { return try (try? fixed(cell, depth: depth)) ?? cell.utf8() }
        guard depth <= maximumDepth else { throw SQLValueError("the value is nested too deeply to be shown as text") }
        if let text = try builtIn(cell) { return text }
        if let text = try SystemTypeForm.text(cell, depth: depth) { return text }
        if cell.isArray { return try array(cell, depth: depth) }
        if let boundType = cell.boundType {
            return try RangeForm.text(cell, cell.bytes, boundType: boundType, depth: depth)
        }
        if let boundType = cell.multirangeBoundType {
            return try RangeForm.text(ofMultirange: cell, boundType: boundType, depth: depth)
        }
        if cell.type == .money {
            throw SQLValueError("money's form depends on the server's lc_monetary; cast it to text, or take SQLMoney")
        }
        return try UserTypeForm.text(cell, depth: depth)
    }

    /// Of a value in text, what does not depend on the session's settings, and is what the binary form gives; nil where the
    /// server's text is that.
    private static func fixed(_ cell: SQLCell, depth: Int) throws -> String? {
        switch cell.type {
        case .bool where depth == 0: return try Bool(sqlCell: cell) ? "true" : "false"
        case .float4: return FloatForm.text(try Float(sqlCell: cell), digits: 6)
        case .float8: return FloatForm.text(try Double(sqlCell: cell))
        case .bytea: return "\\x" + ByteForm.hex(try ByteForm.decode(cell))
        case .interval: return try SQLInterval(sqlCell: cell).description
        case .timestamptz: return try TimeForm.timestamp(ofText: cell)
        default: break
        }
        guard depth <= maximumDepth else { return nil }
        if cell.isArray && !cell.type.isVector { return try ArrayText(cell).fixed(depth: depth) }
        if cell.kind != nil, cell.fieldTypes?.isEmpty == false { return try UserTypeForm.composite(cell, depth) }
        if let boundType = cell.boundType { return try RangeText.range(cell.bytes).fixed(cell, boundType, depth) }
        guard let boundType = cell.multirangeBoundType else { return nil }
        let ranges = try RangeText.multirange(cell.bytes).map { try $0.fixed(cell, boundType, depth) }
        return "{" + ranges.joined(separator: ",") + "}"
    }

    private static func builtIn(_ cell: SQLCell) throws -> String? {
        switch cell.type {
        case .text, .varchar, .bpchar, .name, .json, .xml: return try cell.utf8()
        case .jsonb: return try JSONForm.text(cell)
        case .bool: return try Bool(sqlCell: cell) ? "true" : "false"
        case .int2, .int4, .int8, .oid, .xid, .cid: return String(try Int64(sqlCell: cell))
        case .xid8: return String(try UInt64(sqlCell: cell))
        case .float4: return FloatForm.text(Float(bitPattern: try cell.integer(UInt32.self)), digits: 6)
        case .float8: return FloatForm.text(Double(bitPattern: try cell.integer(UInt64.self)))
        case .numeric: return try NumericDigits(cell.bytes).text
        case .uuid: return try UUIDForm.text(cell)
        case .bytea: return "\\x" + ByteForm.hex(cell.bytes)
        case .date: return text(of: try SQLDate(sqlCell: cell))
        case .time: return try SQLTime(sqlCell: cell).description
        case .timetz: return try SQLTimeWithZone(sqlCell: cell).description
        case .interval: return try SQLInterval(sqlCell: cell).description
        case .inet, .cidr: return try SQLInet(sqlCell: cell).description
        case .macaddr, .macaddr8: return try SQLMACAddress(sqlCell: cell).description
        case .bit, .varbit: return try SQLBits(sqlCell: cell).description
        case .point: return try SQLPoint(sqlCell: cell).description
        case .line: return try SQLLine(sqlCell: cell).description
        case .lseg: return try SQLLineSegment(sqlCell: cell).description
        case .box: return try SQLBox(sqlCell: cell).description
        case .path: return try SQLPath(sqlCell: cell).description
        case .polygon: return try SQLPolygon(sqlCell: cell).description
        case .circle: return try SQLCircle(sqlCell: cell).description
        case .timestamp: return try TimeForm.timestamp(cell, zone: "")
        case .timestamptz: return try TimeForm.timestamp(cell, zone: "+00")
        default: return nil
        }
    }

    static func text(of date: SQLDate) -> String {
        if date == .infinity { return "infinity" }
        if date == .negativeInfinity { return "-infinity" }
        let civil = CivilDay(daysSince2000: Int(date.daysSince2000))
        return civil.text + (civil.isBeforeChrist ? " BC" : "")
    }

    static func array(_ cell: SQLCell, depth: Int) throws -> String {
        var reader = try BinaryArrayReader(cell)
        let delimiter = String(UnicodeScalar(cell.delimiter))
        let text = try reader.isEmpty ? "{}" : level(0, of: &reader, delimiter, depth)
        try reader.finish()
        guard !reader.lowerBounds.isEmpty else { return text }
        let bounds = zip(reader.lowerBounds, reader.dimensions).map { "[\($0):\($0 + $1 - 1)]" }
        return bounds.joined() + "=" + text
    }

    private static func level(
        _ dimension: Int, of reader: inout BinaryArrayReader, _ delimiter: String, _ depth: Int
    ) throws -> String {
        var parts: [String] = []
        for _ in 0..<reader.dimensions[dimension] {
            if dimension + 1 < reader.dimensions.count {
                parts.append(try level(dimension + 1, of: &reader, delimiter, depth))
            } else if let cell = try reader.next() {
                parts.append(try element(cell, delimiter, depth))
            } else {
                parts.append("NULL")
            }
        }
        return "{" + parts.joined(separator: delimiter) + "}"
    }

    static func element(_ cell: SQLCell, _ delimiter: String, _ depth: Int) throws -> String {
        quoted(
            cell.type == .bool ? try Bool(sqlCell: cell) ? "t" : "f" : try render(cell, depth: depth + 1), delimiter)
    }

    /// Quotes what array text would misread, as the server's `array_out` does.
    private static func quoted(_ text: String, _ delimiter: String) -> String {
        let isNull = text.utf8.count == 4 && text.uppercased() == "NULL"
        return isNull ? "\"\(text)\"" : quoted(text, if: "{}\"\\" + delimiter, escape: { _ in UInt8(ascii: "\\") })
    }

    /// Quotes a text that is empty, has a space, or one of the special characters. Before a quote or backslash in it goes
    /// its escape, which is itself in the text of ranges and composites.
    static func quoted(_ text: String, if special: String, escape: (UInt8) -> UInt8 = { $0 }) -> String {
        func isSpecial(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) || special.utf8.contains(byte) }
        guard text.isEmpty || text.utf8.contains(where: isSpecial) else { return text }
        let quote = UInt8(ascii: "\"")
        var bytes = [quote]
        bytes.reserveCapacity(text.utf8.count + 2)
        for byte in text.utf8 {
            if byte == quote || byte == UInt8(ascii: "\\") { bytes.append(escape(byte)) }
            bytes.append(byte)
        }
        bytes.append(quote)
        return String(decoding: bytes, as: UTF8.self)
    }
}

enum UUIDForm {
    static func text(_ cell: SQLCell) throws -> String {
        guard cell.bytes.count == 16 else { throw cell.sizeMismatch(expected: 16) }
        let hex = Array(ByteForm.hex(cell.bytes))
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(hex[$0]) }.joined(separator: "-")
    }
}

enum TimeForm {
    static func timestamp(_ cell: SQLCell, zone: String) throws -> String {
        timestamp(try cell.integer(Int64.self), zone: zone)
    }

    /// In UTC, whatever zone it came in.
    static func timestamp(ofText cell: SQLCell) throws -> String? {
        TimeScanner.timestamp(try cell.utf8()).map { timestamp($0, zone: "+00") }
    }

    static func timestamp(_ moment: Int64, zone: String) -> String {
        if moment == .max { return "infinity" }
        if moment == .min { return "-infinity" }
        let (civil, clock) = ClockForm.split(moment)
        return civil.text + " " + ClockForm.text(microseconds: clock) + zone + (civil.isBeforeChrist ? " BC" : "")
    }

    /// Refuses what lies outside of one day, 24:00 included.
    static func timeOfDay(_ microseconds: Int64) throws -> Int64 {
        guard (0...ClockForm.microsecondsPerDay).contains(microseconds) else {
            throw SQLValueError("the time of day is out of range")
        }
        return microseconds
    }
}

enum FloatForm {
    /// The shortest digits that read back as the same number, in the server's layout: `1`, `1.5`, `1e+20`, `1e-05`.
    static func text<F: BinaryFloatingPoint & CustomStringConvertible>(_ value: F, digits limit: Int = 15) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        if value == 0 { return value.sign == .minus ? "-0" : "0" }
        let (digits, exponent) = shortest(value)
        let sign = value < 0 ? "-" : ""
        if exponent < -4 || exponent >= limit {
            let mantissa = digits.count == 1 ? digits : digits.prefix(1) + "." + digits.dropFirst()
            return sign + mantissa + "e" + (exponent < 0 ? "-" : "+") + abs(exponent).padded(to: 2)
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        if digits.count <= exponent + 1 {
            return sign + digits + String(repeating: "0", count: exponent + 1 - digits.count)
        }
        return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
    }

    /// Swift's own description is the shortest; here are its digits, and the power of ten of the first.
    private static func shortest<F: CustomStringConvertible>(_ value: F) -> (digits: String, exponent: Int) {
        let parts = value.description.split(separator: "e")
        let power = parts.count == 2 ? Int(parts[1]) ?? 0 : 0
        let mantissa = parts[0].drop { $0 == "-" }.split(separator: ".", omittingEmptySubsequences: false)
        let (whole, fraction) = (mantissa[0], mantissa.count == 2 ? mantissa[1] : "")
        let all = whole + fraction
        let zeros = all.prefix { $0 == "0" }.count
        var digits = String(all.dropFirst(zeros))
        while digits.count > 1 && digits.last == "0" { digits.removeLast() }
        return (digits, whole.count - 1 - zeros + power)
    }
}

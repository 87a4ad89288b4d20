/// What the server's `::text` would print of a value, from either form.
enum TextForm {
    static func render(_ cell: SQLCell) throws -> String {
        guard cell.isBinary else { return try cell.utf8() }
        if let text = try builtIn(cell) { return text }
        if cell.type.element != nil { return try array(cell) }
        guard cell.isTextual else { throw cell.unsupported(String.self) }
        // Enums, citext and their like are text; another extension's bytes are shown, never refused.
        if cell.bytes.contains(0) { return "\\x" + ByteForm.hex(cell.bytes) }
        return cell.bytes.validUTF8 ?? "\\x" + ByteForm.hex(cell.bytes)
    }

    private static func builtIn(_ cell: SQLCell) throws -> String? {
        switch cell.type {
        case .text, .varchar, .bpchar, .name, .json, .xml: return try cell.utf8()
        case .jsonb: return try JSONForm.text(cell)
        case .bool: return try Bool(sqlCell: cell) ? "true" : "false"
        case .int2, .int4, .int8, .oid, .xid, .cid: return String(try Int64(sqlCell: cell))
        case .xid8: return String(try UInt64(sqlCell: cell))
        case .float4: return FloatForm.text(Float(bitPattern: try cell.integer(UInt32.self)), digits: 6)
        case .float8: return FloatForm.text(Double(bitPattern: try cell.integer(UInt64.self)), digits: 15)
        case .numeric: return try NumericDigits(cell.bytes).text
        case .uuid: return try UUIDForm.text(cell)
        case .bytea: return "\\x" + ByteForm.hex(cell.bytes)
        case .date: return try TimeForm.date(cell)
        case .time: return ClockForm.text(microseconds: try TimeForm.timeOfDay(cell.integer(Int64.self)))
        case .timestamp: return try TimeForm.timestamp(cell, zone: "")
        case .timestamptz: return try TimeForm.timestamp(cell, zone: "+00")
        default: return nil
        }
    }

    private static func array(_ cell: SQLCell) throws -> String {
        var reader = try BinaryArrayReader(cell)
        let text = try reader.isEmpty ? "{}" : level(0, of: &reader)
        try reader.finish()
        return text
    }

    private static func level(_ dimension: Int, of reader: inout BinaryArrayReader) throws -> String {
        var parts: [String] = []
        for _ in 0..<reader.dimensions[dimension] {
            if dimension + 1 < reader.dimensions.count {
                parts.append(try level(dimension + 1, of: &reader))
            } else if let cell = try reader.next() {
                parts.append(quoted(cell.type == .bool ? try Bool(sqlCell: cell) ? "t" : "f" : try render(cell)))
            } else {
                parts.append("NULL")
            }
        }
        return "{" + parts.joined(separator: ",") + "}"
    }

    /// Quotes what array text would misread, as the server's `array_out` does.
    private static func quoted(_ text: String) -> String {
        let isPlain =
            !text.isEmpty && text.uppercased() != "NULL"
            && text.utf8.allSatisfy { byte in
                byte > 32 && !"{},\"\\".utf8.contains(byte)
            }
        if isPlain { return text }
        let escaped = text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
        return "\"" + String(escaped) + "\""
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
    static func date(_ cell: SQLCell) throws -> String {
        let days = try cell.integer(Int32.self)
        if days == .max { return "infinity" }
        if days == .min { return "-infinity" }
        let civil = CivilDay(daysSince2000: Int(days))
        return civil.text + (civil.isBeforeChrist ? " BC" : "")
    }

    static func timestamp(_ cell: SQLCell, zone: String) throws -> String {
        let moment = try cell.integer(Int64.self)
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
    static func text<F: BinaryFloatingPoint & CustomStringConvertible>(_ value: F, digits limit: Int) -> String {
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

/// A range's text, `[1,"a b")`, taken apart. Each bound is nil where it is missing.
struct RangeText {
    let lower: [UInt8]?
    let upper: [UInt8]?
    let includesLower: Bool
    let includesUpper: Bool

    fileprivate func shown(_ cell: SQLCell, _ boundType: SQLType, _ depth: Int) throws -> String {
        func bound(_ bytes: [UInt8]?) throws -> String {
            guard let bytes else { return "" }
            let text = try bytes.withUnsafeBytes { try TextForm.render(cell.part($0, boundType), depth: depth + 1) }
            return TextForm.quoted(text, if: "\"\\()[],")
        }
        return try (includesLower ? "[" : "(") + bound(lower) + "," + bound(upper) + (includesUpper ? "]" : ")")
    }

    /// nil for the empty range.
    private init?(_ reader: inout QuotedTextReader) throws {
        if reader.takeWord("empty") { return nil }
        guard let opening = reader.take("[(") else { throw SQLValueError("the text is no range: it has no [ or (") }
        lower = try reader.word(until: ",)]")
        guard reader.take(",") != nil else { throw SQLValueError("the range's text has one bound") }
        upper = try reader.word(until: ",)]")
        guard let closing = reader.take(")]") else { throw SQLValueError("the range's text has three bounds") }
        (includesLower, includesUpper) = (opening == UInt8(ascii: "["), closing == UInt8(ascii: "]"))
    }

    static func range(_ bytes: UnsafeRawBufferPointer) throws -> RangeText? {
        var reader = QuotedTextReader(bytes)
        let range = try RangeText(&reader)
        guard reader.isAtEnd else { throw SQLValueError("the range's text goes on behind its end") }
        return range
    }

    /// `{[1,2),[5,9)}`
    static func multirange(_ bytes: UnsafeRawBufferPointer) throws -> [RangeText?] {
        var reader = QuotedTextReader(bytes)
        guard reader.take("{") != nil else { throw SQLValueError("the text is no multirange: it has no {") }
        var ranges: [RangeText?] = []
        if reader.take("}") == nil {
            repeat { ranges.append(try RangeText(&reader)) } while reader.take(",") != nil
            guard reader.take("}") != nil else { throw SQLValueError("the multirange's text ends too early") }
        }
        guard reader.isAtEnd else { throw SQLValueError("the multirange's text goes on behind its end") }
        return ranges
    }
}

extension RangeText? {
    /// As ``TextForm`` shows it, for a cell that came as text.
    func fixed(_ cell: SQLCell, _ boundType: SQLType, _ depth: Int) throws -> String {
        try self?.shown(cell, boundType, depth) ?? "empty"
    }
}

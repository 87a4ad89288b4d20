/// A range's text, `[1,"a b")`, taken apart.
enum RangeText {
    typealias Parts = RangeParts<[UInt8]>

    /// nil for the empty range.
    private static func range(_ reader: inout QuotedTextReader) throws -> Parts? {
        if reader.takeWord("empty") { return nil }
        guard let opening = reader.take("[(") else { throw SQLValueError("the text is no range: it has no [ or (") }
        let lower = try reader.word(until: ",)]")
        guard reader.take(",") != nil else { throw SQLValueError("the range's text has one bound") }
        let upper = try reader.word(until: ",)]")
        guard let closing = reader.take(")]") else { throw SQLValueError("the range's text has three bounds") }
        return Parts(
            lower: lower, upper: upper, includesLower: opening == UInt8(ascii: "["),
            includesUpper: closing == UInt8(ascii: "]"))
    }

    static func range(_ bytes: UnsafeRawBufferPointer) throws -> Parts? {
        var reader = QuotedTextReader(bytes)
        let range = try range(&reader)
        guard reader.isAtEnd else { throw SQLValueError("the range's text goes on behind its end") }
        return range
    }

    /// `{[1,2),[5,9)}`
    static func multirange(_ bytes: UnsafeRawBufferPointer) throws -> [Parts?] {
        var reader = QuotedTextReader(bytes)
        guard reader.take("{") != nil else { throw SQLValueError("the text is no multirange: it has no {") }
        var ranges: [Parts?] = []
        if reader.take("}") == nil {
            repeat { ranges.append(try range(&reader)) } while reader.take(",") != nil
            guard reader.take("}") != nil else { throw SQLValueError("the multirange's text ends too early") }
        }
        guard reader.isAtEnd else { throw SQLValueError("the multirange's text goes on behind its end") }
        return ranges
    }
}

extension RangeText.Parts? {
    /// As ``TextForm`` shows it, for a cell that came as text.
    func fixed(_ cell: SQLCell, _ boundType: SQLType, _ depth: Int) throws -> String {
        try self?.shown { bytes in
            try bytes.withUnsafeBytes { try TextForm.render(cell.part($0, boundType), depth: depth + 1) }
        } ?? "empty"
    }
}

/// Reads big-endian numbers and counted parts off a value, with every bound checked.
struct ByteReader {
    private var bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// For values of fixed length.
    init(_ bytes: UnsafeRawBufferPointer, count: Int) throws {
        guard bytes.count == count else { throw SQLValueError("the value has \(bytes.count) bytes, not \(count)") }
        self.bytes = bytes
    }

    var remaining: Int { bytes.count }

    @inline(__always)
    mutating func integer<I: FixedWidthInteger>(_ type: I.Type = I.self) throws -> I {
        let part = try take(MemoryLayout<I>.size)
        return I(bigEndian: part.loadUnaligned(as: I.self))
    }

    @inline(__always)
    mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count else { throw tooEarly(count) }
        let start = bytes.baseAddress
        bytes = UnsafeRawBufferPointer(start: start.map { $0 + count }, count: bytes.count - count)
        return UnsafeRawBufferPointer(start: start, count: count)
    }

    @inline(never)
    private func tooEarly(_ count: Int) -> SQLValueError {
        SQLValueError("the value ends \(count - bytes.count) bytes too early")
    }

    /// Text up to a NUL, which is read too.
    mutating func terminatedText() throws -> String {
        guard let end = bytes.firstIndex(of: 0) else { throw SQLValueError("a text without its end") }
        guard let text = try take(end).validUTF8 else { throw SQLValueError("the text is not valid UTF-8") }
        _ = try take(1)
        return text
    }

    /// A part behind its Int32 length; nil where the length is -1, NULL.
    @inline(__always)
    mutating func counted() throws -> UnsafeRawBufferPointer? {
        let length = try integer(Int32.self)
        if length == -1 { return nil }
        return try take(Int(length))
    }
}

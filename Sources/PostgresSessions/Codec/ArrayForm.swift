/// PostgreSQL's binary form of arrays: dimensions, a flag for NULLs, the element's type, each dimension's length and lower
/// bound, then the elements behind their lengths (`array_send` in arrayfuncs.c).
enum ArrayForm {
    /// The server's own limit (MAXDIM).
    static let maximumDimensions = 6

    static func encodeBinary<Element: SQLEncodable>(_ array: [Element], into buffer: inout SQLEncodingBuffer) throws {
        var dimensions: [Int] = []
        if !array.isEmpty { try array.addDimensions(to: &dimensions) }
        guard dimensions.count <= maximumDimensions else {
            throw SQLValueError("an array of \(dimensions.count) dimensions; PostgreSQL takes \(maximumDimensions)")
        }
        buffer.append(bigEndian: Int32(dimensions.count))
        let flags = buffer.count
        buffer.append(bigEndian: Int32(0))
        buffer.append(bigEndian: [Element].leafType.rawValue)
        for count in dimensions {
            guard let count = Int32(exactly: count) else { throw SQLValueError("an array of too many elements") }
            buffer.append(bigEndian: count)
            buffer.append(bigEndian: Int32(1))
        }
        guard !dimensions.isEmpty else { return }
        if try array.appendElements(to: &buffer, dimensions: dimensions[...]) { buffer.overwrite(1, at: flags) }
    }

    static func encodeText<Element: SQLEncodable>(_ array: [Element], into buffer: inout SQLEncodingBuffer) throws {
        buffer.append([UInt8(ascii: "{")])
        for (index, element) in array.enumerated() {
            if index > 0 { buffer.append([UInt8(ascii: ",")]) }
            if element.isSQLNull {
                buffer.append("NULL".utf8)
            } else if element is any NestedArrayEncodable {
                try element.encode(into: &buffer)
            } else {
                var plain = SQLEncodingBuffer()
                try element.encode(into: &plain)
                appendQuoted(plain.bytes, to: &buffer)
            }
        }
        buffer.append([UInt8(ascii: "}")])
    }

    private static func appendQuoted(_ bytes: [UInt8], to buffer: inout SQLEncodingBuffer) {
        buffer.append([UInt8(ascii: "\"")])
        for byte in bytes {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { buffer.append([UInt8(ascii: "\\")]) }
            buffer.append([byte])
        }
        buffer.append([UInt8(ascii: "\"")])
    }
}

/// An array in the eyes of its outer array.
protocol NestedArrayEncodable {
    /// The type of what is not an array any more.
    static var leafType: SQLType { get }
    /// Appends this array's length, and those of the arrays in it.
    func addDimensions(to dimensions: inout [Int]) throws
    /// Appends every element; returns whether there was a NULL.
    func appendElements(to buffer: inout SQLEncodingBuffer, dimensions: ArraySlice<Int>) throws -> Bool
}

/// An array that may be nil, in one whose other elements are arrays: PostgreSQL has NULLs in arrays, and no NULL arrays.
extension Optional: NestedArrayEncodable where Wrapped: NestedArrayEncodable {
    static var leafType: SQLType { Wrapped.leafType }

    private func required() throws -> Wrapped {
        guard let self else { throw SQLValueError("a nil in place of an array; PostgreSQL wants a rectangle") }
        return self
    }

    func addDimensions(to dimensions: inout [Int]) throws { try required().addDimensions(to: &dimensions) }

    func appendElements(to buffer: inout SQLEncodingBuffer, dimensions: ArraySlice<Int>) throws -> Bool {
        try required().appendElements(to: &buffer, dimensions: dimensions)
    }
}

extension Array: NestedArrayEncodable where Element: SQLEncodable {
    private static var isBytesInside: Bool { Element.self == [UInt8].self || Element.self == [UInt8]?.self }

    static var leafType: SQLType {
        if !isBytesInside, let inner = Element.self as? any NestedArrayEncodable.Type { return inner.leafType }
        return Element.sqlType
    }

    func addDimensions(to dimensions: inout [Int]) throws {
        dimensions.append(count)
        guard !Self.isBytesInside, let inner = first as? any NestedArrayEncodable else { return }
        try inner.addDimensions(to: &dimensions)
    }

    func appendElements(to buffer: inout SQLEncodingBuffer, dimensions: ArraySlice<Int>) throws -> Bool {
        guard count == dimensions.first else {
            throw SQLValueError("arrays of different lengths in one array; PostgreSQL wants a rectangle")
        }
        var hasNull = false
        for element in self {
            if dimensions.count > 1, !Self.isBytesInside, let inner = element as? any NestedArrayEncodable {
                hasNull = try inner.appendElements(to: &buffer, dimensions: dimensions.dropFirst()) || hasNull
            } else if element.isSQLNull {
                hasNull = true
                buffer.append(bigEndian: Int32(-1))
            } else {
                try buffer.appendCounted { try element.encode(into: &$0) }
            }
        }
        return hasNull
    }
}

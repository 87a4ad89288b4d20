// Arrays of one dimension or more, with NULLs where the element is optional; [UInt8] alone is bytea.

extension Array: SQLDecodable where Element: SQLDecodable {
    public init(sqlCell: SQLCell) throws {
        if Element.self == UInt8.self, !sqlCell.isArray {
            self = try ByteForm.decode(sqlCell) as! [Element]
            return
        }
        if sqlCell.isJSON {
            self = try CellDecoder.decodeJSON(Self.self, from: sqlCell)
            return
        }
        self = try sqlCell.isBinary && sqlCell.isArray ? Self(binaryArray: sqlCell) : Self(arrayText: sqlCell)
    }

    private init(binaryArray cell: SQLCell) throws {
        var reader = try BinaryArrayReader(cell)
        self = try reader.isEmpty ? [] : Self.read(from: &reader, dimension: 0)
        try reader.finish()
    }

    private init(arrayText cell: SQLCell) throws {
        guard cell.isTextual else { throw cell.unsupported(Self.self) }
        let text = try ArrayText(cell)
        self = try Self.read(text.root, as: text.element)
    }
}

/// An array in the eyes of its outer array.
protocol NestedArrayDecodable {
    static func read(from reader: inout BinaryArrayReader, dimension: Int) throws -> Self
    static func read(_ node: ArrayText.Node, as element: ArrayText.Element) throws -> Self
}

extension Array: NestedArrayDecodable where Element: SQLDecodable {
    static func read(from reader: inout BinaryArrayReader, dimension: Int) throws -> Self {
        var elements: [Element] = []
        let count = reader.dimensions[dimension]
        elements.reserveCapacity(count)
        guard dimension + 1 == reader.dimensions.count else {
            let inner = try nested(dimensions: reader.dimensions.count - dimension)
            for _ in 0..<count { elements.append(try inner.read(from: &reader, dimension: dimension + 1) as! Element) }
            return elements
        }
        for index in 0..<count {
            guard let cell = try reader.next() else {
                elements.append(try null(at: index))
                continue
            }
            do {
                elements.append(try Element(sqlCell: cell))
            } catch {
                throw failure(error, at: index, cell, dimensions: reader.dimensions.count)
            }
        }
        return elements
    }

    static func read(_ node: ArrayText.Node, as element: ArrayText.Element) throws -> Self {
        guard case .array(let nodes) = node else {
            throw SQLValueError("the array has fewer dimensions than \(Self.self)")
        }
        var elements: [Element] = []
        elements.reserveCapacity(nodes.count)
        for (index, node) in nodes.enumerated() {
            switch node {
            case .array: elements.append(try nested(dimensions: 2).read(node, as: element) as! Element)
            case .null: elements.append(try null(at: index))
            case .value(let bytes):
                try bytes.withUnsafeBytes { bytes in
                    let cell = element.cell(bytes)
                    do {
                        elements.append(try Element(sqlCell: cell))
                    } catch {
                        throw failure(error, at: index, cell, dimensions: nil)
                    }
                }
            }
        }
        return elements
    }

    private static func nested(dimensions: Int) throws -> any NestedArrayDecodable.Type {
        guard Element.self != [UInt8].self, Element.self != [UInt8]?.self,
            let inner = Element.self as? any NestedArrayDecodable.Type
        else {
            throw SQLValueError("the array has \(dimensions) dimensions, more than \(Self.self)")
        }
        return inner
    }

    /// What to throw where an element does not decode; `dimensions` are the array's, where they are known.
    private static func failure(_ error: any Error, at index: Int, _ cell: SQLCell, dimensions: Int?) -> any Error {
        guard let reason = (error as? SQLValueError)?.reason else { return error }
        if Element.self is any NestedArrayDecodable.Type, Element.self != [UInt8].self, !cell.isJSON {
            let found = dimensions.map { "has \($0) dimension\($0 == 1 ? "" : "s")" } ?? "has fewer dimensions"
            return SQLValueError("the array \(found), and \(Element.self) wants one more")
        }
        return SQLValueError("element \(index) of the array: \(reason)")
    }

    private static func null(at index: Int) throws -> Element {
        guard let value = Element.sqlNull else {
            throw SQLValueError("element \(index) of the array is NULL, and \(Element.self) is not optional")
        }
        return value
    }
}

extension Array: SQLEncodable where Element: SQLEncodable {
    private static var isBytes: Bool { Element.self == UInt8.self }

    public static var sqlType: SQLType { isBytes ? .bytea : Element.sqlArrayType }
    /// Arrays of arrays have the type of their elements' array: PostgreSQL's arrays have any number of dimensions.
    public static var sqlArrayType: SQLType { isBytes ? .byteaArray : Element.sqlArrayType }
    public static var sqlFormat: SQLFormat { isBytes ? .binary : Element.sqlFormat }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        if Self.isBytes {
            buffer.append(self as! [UInt8])
        } else if Element.sqlFormat == .text {
            try ArrayForm.encodeText(self, into: &buffer)
        } else {
            try ArrayForm.encodeBinary(self, into: &buffer)
        }
    }
}

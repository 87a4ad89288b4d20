extension SQLPoint: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .point }
    public static var sqlArrayType: SQLType { .pointArray }

    public init(sqlCell: SQLCell) throws {
        let numbers = try GeometryForm.numbers(2, of: sqlCell, .point, Self.self)
        self.init(x: numbers[0], y: numbers[1])
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { GeometryForm.append([x, y], to: &buffer) }
}

extension SQLLine: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .line }
    public static var sqlArrayType: SQLType { .lineArray }

    public init(sqlCell: SQLCell) throws {
        let numbers = try GeometryForm.numbers(3, of: sqlCell, .line, Self.self)
        self.init(a: numbers[0], b: numbers[1], c: numbers[2])
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { GeometryForm.append([a, b, c], to: &buffer) }
}

extension SQLLineSegment: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .lseg }
    public static var sqlArrayType: SQLType { .lsegArray }

    public init(sqlCell: SQLCell) throws {
        let numbers = try GeometryForm.numbers(4, of: sqlCell, .lseg, Self.self)
        self.init(start: SQLPoint(x: numbers[0], y: numbers[1]), end: SQLPoint(x: numbers[2], y: numbers[3]))
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        GeometryForm.append([start.x, start.y, end.x, end.y], to: &buffer)
    }
}

extension SQLBox: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .box }
    public static var sqlArrayType: SQLType { .boxArray }

    public init(sqlCell: SQLCell) throws {
        let numbers = try GeometryForm.numbers(4, of: sqlCell, .box, Self.self)
        self.init(high: SQLPoint(x: numbers[0], y: numbers[1]), low: SQLPoint(x: numbers[2], y: numbers[3]))
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        GeometryForm.append([high.x, high.y, low.x, low.y], to: &buffer)
    }
}

extension SQLCircle: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .circle }
    public static var sqlArrayType: SQLType { .circleArray }

    public init(sqlCell: SQLCell) throws {
        let numbers = try GeometryForm.numbers(3, of: sqlCell, .circle, Self.self)
        self.init(center: SQLPoint(x: numbers[0], y: numbers[1]), radius: numbers[2])
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        GeometryForm.append([center.x, center.y, radius], to: &buffer)
    }
}

extension SQLPath: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .path }
    public static var sqlArrayType: SQLType { .pathArray }

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, sqlCell.type == .path else {
            let text = try sqlCell.text(of: .path, as: SQLPath.self)
            self.init(isClosed: text.hasPrefix("("), points: try GeometryForm.points(in: text, of: sqlCell, Self.self))
            return
        }
        var reader = ByteReader(sqlCell.bytes)
        let isClosed = try reader.integer(UInt8.self) != 0
        self.init(isClosed: isClosed, points: try GeometryForm.points(&reader))
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        buffer.append(bigEndian: UInt8(isClosed ? 1 : 0))
        GeometryForm.append(points, to: &buffer)
    }
}

extension SQLPolygon: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .polygon }
    public static var sqlArrayType: SQLType { .polygonArray }

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, sqlCell.type == .polygon else {
            let text = try sqlCell.text(of: .polygon, as: SQLPolygon.self)
            self.init(points: try GeometryForm.points(in: text, of: sqlCell, Self.self))
            return
        }
        var reader = ByteReader(sqlCell.bytes)
        self.init(points: try GeometryForm.points(&reader))
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { GeometryForm.append(points, to: &buffer) }
}

private enum GeometryForm {
    static func numbers<T>(_ count: Int, of cell: SQLCell, _ wanted: SQLType, _ type: T.Type) throws -> [Double] {
        guard cell.isBinary, cell.type == wanted else {
            let numbers = try numbers(in: try cell.text(of: wanted, as: type), of: cell, type)
            guard numbers.count == count else { throw cell.unreadable(type) }
            return numbers
        }
        var reader = try ByteReader(cell.bytes, count: 8 * count)
        return try (0..<count).map { _ in try number(&reader) }
    }

    /// Every shape's text is its numbers between brackets and commas.
    private static func numbers<T>(in text: String, of cell: SQLCell, _ type: T.Type) throws -> [Double] {
        try text.utf8.split(whereSeparator: { "()[]{}<>, ".utf8.contains($0) }).map { word in
            guard let number = Double(String(Substring(word))) else { throw cell.unreadable(type) }
            return number
        }
    }

    static func points<T>(in text: String, of cell: SQLCell, _ type: T.Type) throws -> [SQLPoint] {
        let numbers = try numbers(in: text, of: cell, type)
        guard numbers.count.isMultiple(of: 2) else { throw cell.unreadable(type) }
        return stride(from: 0, to: numbers.count, by: 2).map { SQLPoint(x: numbers[$0], y: numbers[$0 + 1]) }
    }

    private static func number(_ reader: inout ByteReader) throws -> Double {
        Double(bitPattern: try reader.integer(UInt64.self))
    }

    /// An Int32 count, then as many points, and nothing more.
    static func points(_ reader: inout ByteReader) throws -> [SQLPoint] {
        let count = Int(try reader.integer(Int32.self))
        guard count >= 0, reader.remaining == 16 * count else {
            throw SQLValueError("a figure whose length does not match its count of points")
        }
        return try (0..<count).map { _ in SQLPoint(x: try number(&reader), y: try number(&reader)) }
    }

    static func append(_ numbers: [Double], to buffer: inout SQLEncodingBuffer) {
        for number in numbers { buffer.append(bigEndian: number.bitPattern) }
    }

    static func append(_ points: [SQLPoint], to buffer: inout SQLEncodingBuffer) {
        buffer.append(bigEndian: Int32(points.count))
        for point in points { append([point.x, point.y], to: &buffer) }
    }
}

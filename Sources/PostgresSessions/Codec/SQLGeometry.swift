// The geometric types, in binary: float8 after float8.

/// PostgreSQL's `point`.
public struct SQLPoint: Hashable, Sendable {
    public var x: Double
    public var y: Double

    public init(x: Double, y: Double) {
        self.x = x
        self.y = y
    }
}

/// PostgreSQL's `line`: all points with `a·x + b·y + c = 0`.
public struct SQLLine: Hashable, Sendable {
    public var a: Double
    public var b: Double
    public var c: Double

    public init(a: Double, b: Double, c: Double) {
        self.a = a
        self.b = b
        self.c = c
    }
}

/// PostgreSQL's `lseg`, a line from one point to another.
public struct SQLLineSegment: Hashable, Sendable {
    public var start: SQLPoint
    public var end: SQLPoint

    public init(start: SQLPoint, end: SQLPoint) {
        self.start = start
        self.end = end
    }
}

/// PostgreSQL's `box`, by two opposite corners. The server gives back the upper right one first.
public struct SQLBox: Hashable, Sendable {
    public var high: SQLPoint
    public var low: SQLPoint

    public init(high: SQLPoint, low: SQLPoint) {
        self.high = high
        self.low = low
    }
}

/// PostgreSQL's `path`, open or closed.
public struct SQLPath: Hashable, Sendable {
    public var isClosed: Bool
    public var points: [SQLPoint]

    public init(isClosed: Bool, points: [SQLPoint]) {
        self.isClosed = isClosed
        self.points = points
    }
}

/// PostgreSQL's `polygon`.
public struct SQLPolygon: Hashable, Sendable {
    public var points: [SQLPoint]

    public init(points: [SQLPoint]) { self.points = points }
}

/// PostgreSQL's `circle`.
public struct SQLCircle: Hashable, Sendable {
    public var center: SQLPoint
    public var radius: Double

    public init(center: SQLPoint, radius: Double) {
        self.center = center
        self.radius = radius
    }
}

// MARK: - Text, as the server prints it

extension SQLPoint: CustomStringConvertible {
    public var description: String { "(\(FloatForm.text(x)),\(FloatForm.text(y)))" }
}
extension SQLLine: CustomStringConvertible {
    public var description: String { "{\(FloatForm.text(a)),\(FloatForm.text(b)),\(FloatForm.text(c))}" }
}
extension SQLLineSegment: CustomStringConvertible {
    public var description: String { "[\(start),\(end)]" }
}
extension SQLBox: CustomStringConvertible {
    public var description: String { "\(high),\(low)" }
}
extension SQLPath: CustomStringConvertible {
    public var description: String {
        let list = points.map(\.description).joined(separator: ",")
        return isClosed ? "(\(list))" : "[\(list)]"
    }
}
extension SQLPolygon: CustomStringConvertible {
    public var description: String { "(\(points.map(\.description).joined(separator: ",")))" }
}
extension SQLCircle: CustomStringConvertible {
    public var description: String { "<\(center),\(FloatForm.text(radius))>" }
}

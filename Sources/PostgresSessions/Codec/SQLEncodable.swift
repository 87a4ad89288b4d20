/// A type whose values can be bound into a statement: `"… WHERE id = \(id)"`.
///
/// Types of your own conform by appending PostgreSQL's form of the value:
///
/// ```swift
/// struct Cents: SQLEncodable {
///     var value: Int
///     static var sqlType: SQLType { .int8 }
///     func encode(into buffer: inout SQLEncodingBuffer) throws { try value.encode(into: &buffer) }
/// }
/// ```
///
/// Enums with a raw value that is encodable conform without a body, and so does any `Encodable` type, which is then bound
/// as jsonb.
public protocol SQLEncodable: Sendable {
    /// The parameter's type; ``SQLType/unknown`` lets the server infer it.
    static var sqlType: SQLType { get }

    /// The type of an array of these; ``SQLType/unknown``, the default, lets the server infer it.
    static var sqlArrayType: SQLType { get }

    /// Whether `encode` appends the type's binary form (the default) or its text.
    static var sqlFormat: SQLFormat { get }

    /// Whether this value is NULL; `encode` is then not called. False by default.
    var isSQLNull: Bool { get }

    /// Appends the value. Throw ``SQLValueError`` with a reason that does not quote the value.
    func encode(into buffer: inout SQLEncodingBuffer) throws
}

/// How a parameter's bytes are to be read.
public enum SQLFormat: Sendable {
    /// PostgreSQL's text form, in UTF-8, without NUL.
    case text
    /// PostgreSQL's binary form, what the type's `receive` function reads.
    case binary
}

extension SQLEncodable {
    public static var sqlArrayType: SQLType { .unknown }
    public static var sqlFormat: SQLFormat { .binary }
    public var isSQLNull: Bool { false }
}

extension Optional: SQLEncodable where Wrapped: SQLEncodable {
    public static var sqlType: SQLType { Wrapped.sqlType }
    public static var sqlArrayType: SQLType { Wrapped.sqlArrayType }
    public static var sqlFormat: SQLFormat { Wrapped.sqlFormat }
    public var isSQLNull: Bool { self?.isSQLNull ?? true }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        guard let self else { throw SQLValueError("NULL has no bytes") }
        try self.encode(into: &buffer)
    }
}

extension SQLEncodable where Self: RawRepresentable, RawValue: SQLEncodable {
    public static var sqlType: SQLType { RawValue.sqlType }
    public static var sqlArrayType: SQLType { RawValue.sqlArrayType }
    public static var sqlFormat: SQLFormat { RawValue.sqlFormat }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { try rawValue.encode(into: &buffer) }
}

extension SQLEncodable where Self: Encodable {
    public static var sqlType: SQLType { .jsonb }
    /// Types with a form of their own (String, for one) are Encodable too.
    public static var sqlArrayType: SQLType { sqlType == .jsonb ? .jsonbArray : .unknown }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { try JSONForm.encode(self, into: &buffer) }
}

extension SQLEncodable where Self: Encodable & RawRepresentable, RawValue: SQLEncodable {
    public static var sqlType: SQLType { RawValue.sqlType }
    public static var sqlArrayType: SQLType { RawValue.sqlArrayType }
    public static var sqlFormat: SQLFormat { RawValue.sqlFormat }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { try rawValue.encode(into: &buffer) }
}

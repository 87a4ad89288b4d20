/// A type that one column's value decodes into: what scalars and tuples of `query(_:as:)` are made of.
///
/// Types of your own conform by reading the cell:
///
/// ```swift
/// struct Cents: SQLDecodable {
///     var value: Int
///     init(sqlCell: SQLCell) throws { value = try Int(sqlCell: sqlCell) }
/// }
/// ```
///
/// Enums with a raw value that is decodable conform without a body, and so does any `Decodable` type, which is then read
/// from json and jsonb.
public protocol SQLDecodable {
    /// Decodes a value that is not NULL. Throw ``SQLValueError`` with a reason; the library adds column, type and row.
    init(sqlCell: SQLCell) throws

    /// The value that stands for NULL; nil, the default, refuses NULL.
    static var sqlNull: Self? { get }
}

extension SQLDecodable {
    public static var sqlNull: Self? { nil }
}

/// NULL is nil; and so is the `null` of json and jsonb, for all but text, which shows it.
extension Optional: SQLDecodable where Wrapped: SQLDecodable {
    // Inlined into its witness, which is told the optional's own type; else the runtime is asked for it at every value.
    @inlinable @inline(__always)
    public init(sqlCell: SQLCell) throws {
        do {
            self = .some(try Wrapped(sqlCell: sqlCell))
        } catch {
            guard sqlCell.isJSONNull else { throw error }
            self = nil
        }
    }

    @inlinable
    public static var sqlNull: Self? { .some(nil) }
}

extension SQLDecodable where Self: RawRepresentable, RawValue: SQLDecodable {
    public init(sqlCell: SQLCell) throws {
        guard let value = Self(rawValue: try RawValue(sqlCell: sqlCell)) else {
            throw SQLValueError("the value is not one of \(Self.self)'s")
        }
        self = value
    }
}

extension SQLDecodable where Self: Decodable {
    public init(sqlCell: SQLCell) throws { self = try CellDecoder.decode(Self.self, from: sqlCell) }
}

extension SQLDecodable where Self: Decodable & RawRepresentable, RawValue: SQLDecodable {
    public init(sqlCell: SQLCell) throws {
        if sqlCell.isJSON {
            self = try CellDecoder.decodeJSON(Self.self, from: sqlCell)
            return
        }
        guard let value = Self(rawValue: try RawValue(sqlCell: sqlCell)) else {
            throw SQLValueError("the value is not one of \(Self.self)'s")
        }
        self = value
    }
}

import Foundation

/// One value of a result that is not NULL, as it came from the server.
///
/// The bytes belong to the result and are valid only while ``SQLDecodable/init(sqlCell:)`` runs: copy what you keep.
public struct SQLCell {
    /// The value's bytes: PostgreSQL's binary form where ``isBinary`` is true, else its text.
    public let bytes: UnsafeRawBufferPointer
    /// The column's type.
    public let type: SQLType
    /// Whether the bytes are the type's binary form (its `send` function's output).
    public let isBinary: Bool

    @inlinable
    public init(bytes: UnsafeRawBufferPointer, type: SQLType, isBinary: Bool) {
        self.bytes = bytes
        self.type = type
        self.isBinary = isBinary
    }

    /// A fixed-width, big-endian integer that is the whole value.
    ///
    /// Throws ``SQLValueError`` when the cell is shorter or longer than the integer.
    @inlinable
    public func integer<I: FixedWidthInteger>(_ type: I.Type = I.self) throws -> I {
        guard bytes.count == MemoryLayout<I>.size else { throw sizeMismatch(expected: MemoryLayout<I>.size) }
        return I(bigEndian: bytes.loadUnaligned(as: I.self))
    }

    /// The bytes as text. Throws ``SQLValueError`` when they are not UTF-8.
    public func utf8() throws -> String {
        guard let text = bytes.validUTF8 else { throw SQLValueError("the text is not valid UTF-8") }
        return text
    }

    /// The text to parse a number, a date and the like from: of json and jsonb, what a string in it holds.
    func plainText() throws -> String {
        guard isJSON else {
            if isForeign, bytes.containsNUL || bytes.validUTF8 == nil {
                throw SQLValueError("the value is no text; " + remedy)
            }
            return try utf8()
        }
        let text = try JSONForm.text(self)
        return text.hasPrefix("\"") ? try CellDecoder.decodeJSON(String.self, from: self) : text
    }

    /// Whether the bytes may be read as text: the text format, a textual type, or a type that is not built in.
    ///
    /// The binary form of enums and of extension types such as `citext` is their text.
    @usableFromInline
    var isTextual: Bool {
        guard isBinary else { return true }
        switch type.rawValue {
        // text varchar bpchar name unknown "char" xml json jsonb
        case 25, 1043, 1042, 19, 705, 18, 142, 114, 3802: return true
        default: return type.rawValue >= Self.firstUserDefinedType
        }
    }

    /// Object ids below this one belong to the system catalogs (FirstNormalObjectId).
    static var firstUserDefinedType: UInt32 { 16384 }

    @usableFromInline
    func sizeMismatch(expected: Int) -> SQLValueError {
        SQLValueError("the value has \(bytes.count) bytes, not \(expected)")
    }

    /// What to throw when a type cannot be read from this cell's type at all.
    public func unsupported<T>(_ type: T.Type) -> SQLValueError {
        SQLValueError("\(self.type) in \(isBinary ? "binary" : "text") form cannot be read as \(T.self)")
    }

    /// What to throw when text does not read as the type that was asked for.
    func unreadable<T>(_ type: T.Type) -> SQLValueError {
        SQLValueError("the text does not read as \(T.self)" + (isForeign ? "; " + remedy : ""))
    }

    /// The bytes of a domain's number may look like digits: a number is never guessed.
    func refuseForeignNumber() throws {
        if isForeign { throw SQLValueError("the value's binary form is not known; " + remedy) }
    }

    /// Whether the type is the database's own, and its binary form may thus be its text or anything else.
    private var isForeign: Bool { isBinary && type.rawValue >= Self.firstUserDefinedType }

    /// A domain's column comes under its base type's id; in arrays and composites, the domain's own is all there is.
    private var remedy: String {
        "\(type) is not built in: cast a domain that is in an array or a composite to its base type, as in numbers::int4[]"
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes as a String; nil when they are not UTF-8.
    ///
    /// `String(decoding:as:)` is the standard library's fast path, and repairs what is wrong; so what it made is compared
    /// with what it got. (`String(validating:as:)` costs three times as much for short text.)
    @inline(__always)
    var validUTF8: String? {
        let text = String(decoding: self, as: UTF8.self)
        let isUnchanged = text.utf8.withContiguousStorageIfAvailable { made in
            made.count == count && (count == 0 || memcmp(made.baseAddress!, baseAddress!, count) == 0)
        }
        return isUnchanged == true ? text : nil
    }
}

/// Why a value cannot be decoded or encoded. The library adds the column, the types and the row, or the parameter's place.
///
/// A reason must not quote the value: it ends in logs.
public struct SQLValueError: Error, CustomStringConvertible {
    public let reason: String

    public init(_ reason: String) { self.reason = reason }

    public var description: String { reason }
}

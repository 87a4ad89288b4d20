import Foundation

/// One value of a result that is not NULL, as it came from the server.
///
/// The bytes belong to the result and are valid only while ``SQLDecodable/init(sqlCell:)`` runs: copy what you keep.
public struct SQLCell {
    /// The value's bytes: PostgreSQL's binary form where ``isBinary`` is true, else its text.
    public let bytes: UnsafeRawBufferPointer
    /// The value's type. Of a domain, an enum, or an extension's type like `citext`, the built-in type that it is made of.
    public let type: SQLType
    @usableFromInline
    let form: SQLCellForm

    /// Whether the bytes are the type's binary form (its `send` function's output).
    @inlinable
    public var isBinary: Bool { form.isBinary }

    @inlinable
    public init(bytes: UnsafeRawBufferPointer, type: SQLType, isBinary: Bool) {
        self.init(bytes: bytes, type: type, form: SQLCellForm(isBinary: isBinary))
    }

    @inlinable @inline(__always)
    init(bytes: UnsafeRawBufferPointer, type: SQLType, form: SQLCellForm) {
        self.bytes = bytes
        self.type = type
        self.form = form
    }

    /// A part of this value, of a type that the value or its type names.
    func part(_ bytes: UnsafeRawBufferPointer, _ type: SQLType) -> SQLCell {
        SQLCell(bytes: bytes, type: canonical(type), form: form)
    }

    func canonical(_ type: SQLType) -> SQLType {
        guard type.isOfDatabase else { return type }
        return form.catalog?.canonical(type) ?? type
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
        guard isJSON else { return try utf8() }
        let text = try JSONForm.text(self)
        return text.hasPrefix("\"") ? try CellDecoder.decodeJSON(String.self, from: self) : text
    }

    /// Whether the bytes may be read as text: the text format, or a textual type.
    @usableFromInline
    var isTextual: Bool {
        guard isBinary else { return true }
        switch type.rawValue {
        // text varchar bpchar name unknown "char" xml json jsonb
        case 25, 1043, 1042, 19, 705, 18, 142, 114, 3802: return true
        default: return false
        }
    }

    /// The text to read a value of one of these types from: their own, or that of a type that may hold anything.
    func text<T>(of wanted: SQLType..., as type: T.Type) throws -> String {
        let isTheirs =
            wanted.contains(self.type) || [.unknown, .text, .varchar, .bpchar, .json, .jsonb].contains(self.type)
        guard isTextual, isTheirs else { throw unsupported(T.self) }
        return String(try plainText().trimmingSpaces())
    }

    @usableFromInline
    func sizeMismatch(expected: Int) -> SQLValueError {
        SQLValueError("the value has \(bytes.count) bytes, not \(expected)")
    }

    /// What to throw when a type cannot be read from this cell's type at all.
    public func unsupported<T>(_ type: T.Type) -> SQLValueError {
        SQLValueError("\(typeName)\(isBinary ? "" : " in text form") cannot be read as \(T.self)" + remedy)
    }

    /// What to throw when text does not read as the type that was asked for.
    func unreadable<T>(_ type: T.Type) -> SQLValueError {
        let isDated = !isBinary && [.date, .timestamp, .timestamptz].contains(self.type)
        return SQLValueError(
            "the text does not read as \(T.self)" + (isDated ? "; it takes the session's DateStyle to be ISO" : ""))
    }

    var typeName: String { form.catalog?.name(of: type) ?? type.description }

    /// What to do about a type that nobody knows, or whose form nobody knows.
    private var remedy: String {
        guard isBinary else { return "" }
        guard type.isOfDatabase else { return type.isNamed ? "" : "; take it as [UInt8], or cast it to text" }
        switch kind {
        case .opaque?: return "; take it as [UInt8], or cast it to text"
        case nil: return "; its form is not known: cast it, as in (value).field::int4 or numbers::int4[]"
        default: return ""
        }
    }
}

/// How a cell's bytes are to be read, in one word: a cell must fit four registers.
@usableFromInline
struct SQLCellForm {
    /// The lowest bit: whether they are binary. The others: the catalog's address, or none.
    @usableFromInline
    let bits: UInt

    @inlinable @inline(__always)
    init(isBinary: Bool) { bits = isBinary ? 1 : 0 }

    /// The catalog must live as long as the cells: that of a result's columns does, which their reader keeps.
    init(isBinary: Bool, _ catalog: TypeCatalog?) {
        let address = catalog.map { UInt(bitPattern: Unmanaged.passUnretained($0).toOpaque()) } ?? 0
        bits = address | (isBinary ? 1 : 0)
    }

    @inlinable @inline(__always)
    var isBinary: Bool { bits & 1 != 0 }

    /// Objects lie at even addresses.
    var catalog: TypeCatalog? {
        UnsafeRawPointer(bitPattern: bits & ~1).map { Unmanaged<TypeCatalog>.fromOpaque($0).takeUnretainedValue() }
    }
}

// What a type is made of, whether it is built in or the catalog knows it.
extension SQLCell {
    /// nil for a built-in type, and for one that is not known.
    var kind: TypeCatalog.Kind? { type.isOfDatabase ? form.catalog?.kind(of: type) : nil }

    /// An array's elements' type; of record[] and anyarray, the elements say it.
    var elementType: SQLType? {
        if let element = type.element { return element }
        if case .array(let element, _)? = kind { return element }
        return nil
    }

    var isArray: Bool { elementType != nil || type.rawValue == 2277 }

    /// What stands between an array's elements in its text.
    var delimiter: UInt8 {
        if case .array(_, let delimiter)? = kind { return delimiter }
        return UInt8(ascii: type == .boxArray ? ";" : ",")  // the only built-in type with another one
    }

    /// A range's bounds' type.
    var boundType: SQLType? {
        if case .range(let bound)? = kind { return canonical(bound) }
        return RangeForm.boundType(of: type)
    }

    /// A multirange's ranges' type.
    var rangeType: SQLType? {
        if case .multirange(let range)? = kind { return canonical(range) }
        return RangeForm.rangeType(of: type)
    }

    /// A multirange's bounds' type.
    var multirangeBoundType: SQLType? {
        rangeType.flatMap { SQLCell(bytes: bytes, type: $0, form: form).boundType }
    }

    /// The types of a composite's fields; empty for a record, which says them itself, in binary. nil for what is none.
    var fieldTypes: [SQLType]? {
        if type == .record { return [] }
        return type.isOfDatabase ? form.catalog?.fields(of: type) : nil
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes as a String; nil when they are not UTF-8.
    ///
    /// `String(decoding:as:)` is the standard library's fast path, and repairs what is wrong; so what it made is compared
    /// with what it got. (`String(validating:as:)` costs three times as much for short text.)
    @inline(__always)
    var validUTF8: String? {
        if isShortASCII {
            return String(unsafeUninitializedCapacity: count) { place in
                UnsafeMutableRawBufferPointer(place).copyMemory(from: self)
                return count
            }
        }
        let text = String(decoding: self, as: UTF8.self)
        let isUnchanged = text.utf8.withContiguousStorageIfAvailable { made in
            made.count == count && (count == 0 || memcmp(made.baseAddress!, baseAddress!, count) == 0)
        }
        return isUnchanged == true ? text : nil
    }

    /// Whether a `String` holds them in itself and there is nothing to check: asked with two loads that may overlap.
    @inline(__always)
    private var isShortASCII: Bool {
        switch count {
        case 8...15: hasNoHighBits(UInt64.self)
        case 4...7: hasNoHighBits(UInt32.self)
        case 2...3: hasNoHighBits(UInt16.self)
        case 1: self[0] < 0x80
        default: false
        }
    }

    @inline(__always)
    private func hasNoHighBits<Word: FixedWidthInteger>(_: Word.Type) -> Bool {
        let last = count - MemoryLayout<Word>.size
        let words = loadUnaligned(as: Word.self) | loadUnaligned(fromByteOffset: last, as: Word.self)
        return words & ((Word.max / 255) << 7) == 0
    }
}

/// Why a value cannot be decoded or encoded. The library adds the column, the types and the row, or the parameter's place.
///
/// A reason must not quote the value: it ends in logs.
public struct SQLValueError: Error, CustomStringConvertible {
    public let reason: String

    public init(_ reason: String) { self.reason = reason }

    static func null<T>(_ type: T.Type) -> SQLValueError {
        SQLValueError("the value is NULL, and \(T.self) is not optional")
    }

    public var description: String { reason }
}

package import PostgresWire

/// A statement's text and its bound values, as one value.
///
/// Write it as a string literal. What is interpolated becomes a parameter, never text, so that there is nothing to inject:
///
/// ```swift
/// let q: SQLQuery = "SELECT * FROM \(identifier: table) WHERE owner = \(userID) AND tag = ANY(\(tags))"
/// ```
///
/// - `\(value)` binds any ``SQLEncodable``, optionals included: nil is NULL. An enum is bound as its raw value.
/// - `\(json: value)` binds any `Encodable` as jsonb.
/// - `\(fragment)` inserts another query: its text becomes text, its parameters are renumbered.
/// - `\(identifier: name)` inserts a quoted name.
/// - `\(unsafeRaw: text)` inserts text as it is. Never put anything there that came from outside.
///
/// A value that cannot be bound (text with a NUL, more than 1 GiB in all, more than 65,535 parameters) is remembered, and thrown
/// as ``EngineError/encoding(_:)`` when the query is run; nothing is sent then.
public struct SQLQuery: Sendable {
    /// The text, as UTF-8, with `$1`, `$2` … where the parameters are.
    private(set) var utf8: [UInt8]
    /// Each knows where in the text its `$` stands. The text between is never searched for `$`.
    package private(set) var parameters = WireParameters()
    /// Why this query cannot be run, if it cannot.
    private var refusal: String?

    /// The protocol counts parameters with 16 bits.
    package static let maximumParameters = 65_535
    /// All parameters together, or the text, in bytes. The server ends a connection whose message is longer than 1 GiB
    /// (PQ_LARGE_MESSAGE_LIMIT in pqcomm.h); the last MiB is for what a message holds besides.
    package static let maximumSize = (1 << 30) - (1 << 20)

    init() { utf8 = [] }

    /// The text with `$1`, `$2` … where the parameters are.
    package var text: String { String(decoding: utf8, as: UTF8.self) }

    /// Text as it is, without parameters. Never put anything there that came from outside.
    public init(unsafeRaw text: String) {
        utf8 = Array(text.utf8)
    }

    /// Throws what went wrong while the query was made.
    package func validated() throws(EngineError) {
        if let refusal { throw .encoding(refusal) }
        guard max(utf8.count, parameters.bytes.count) <= Self.maximumSize else {
            throw .encoding("the query: its text, or all its parameters, are larger than 1 GiB")
        }
        if utf8.withUnsafeBytes({ $0.containsNUL }) { throw .encoding("the query's text: it contains a NUL character") }
    }

    mutating func reserve(text textCapacity: Int, parameters count: Int) {
        utf8.reserveCapacity(textCapacity + 3 * count)
        if count > 0 { parameters.reserve(count) }
    }

    /// Only the first reason is kept.
    mutating func refuse(_ reason: String) {
        if refusal == nil { refusal = reason }
    }
}

// MARK: - Composing

extension SQLQuery {
    /// Appends text and parameters of another query; its parameters are numbered after this query's.
    public mutating func append(_ other: SQLQuery) {
        if let reason = other.refusal { refuse(reason) }
        guard other.parameters.count > 0 else {
            utf8 += other.utf8
            return
        }
        guard parameters.count > 0 else {
            let before = utf8.count
            utf8 += other.utf8
            parameters.append(contentsOf: other.parameters) { _, parameter in before + Int(parameter.place) }
            return
        }
        appendRenumbered(other)
        checkParameterCount()
    }

    private mutating func appendRenumbered(_ other: SQLQuery) {
        var copied = 0
        var whole: [UInt8] = []
        swap(&whole, &utf8)
        var number = parameters.count
        parameters.append(contentsOf: other.parameters) { index, parameter in
            let placeholder = Int(parameter.place)
            whole += other.utf8[copied..<placeholder]
            let place = whole.count
            number += 1
            Self.appendPlaceholder(number, to: &whole)
            copied = placeholder + 1 + Self.digits(of: index + 1)
            return place
        }
        whole += other.utf8[copied...]
        utf8 = whole
    }

    private static func digits(of number: Int) -> Int {
        switch number {
        case ..<10: 1
        case ..<100: 2
        case ..<1_000: 3
        case ..<10_000: 4
        default: String(number).utf8.count
        }
    }

    private static func appendPlaceholder(_ number: Int, to text: inout [UInt8]) {
        text.append(UInt8(ascii: "$"))
        guard number >= 10 else { return text.append(UInt8(ascii: "0") + UInt8(number)) }
        text.append(contentsOf: String(number).utf8)
    }

    /// The same text without a semicolon at its end.
    var unended: SQLQuery {
        guard let last = utf8.lastIndex(where: { $0 > 0x20 && $0 != UInt8(ascii: ";") }) else { return self }
        guard utf8[last...].contains(UInt8(ascii: ";")) else { return self }
        var unended = self
        unended.utf8.removeSubrange((last + 1)...)
        return unended
    }

    /// The same text, so that something may stand behind it: where it may end in a comment, on a line of its own.
    var closed: SQLQuery {
        guard utf8.indices.dropLast().contains(where: { utf8[$0] == 0x2D && utf8[$0 + 1] == 0x2D }) else { return self }
        var closed = self
        closed.append(raw: "\n")
        return closed
    }

    mutating func append(raw more: String) {
        guard !more.isEmpty else { return }
        let isDone: Void? = more.utf8.withContiguousStorageIfAvailable { utf8.append(contentsOf: $0) }
        if isDone == nil { utf8.append(contentsOf: more.utf8) }
    }
}

extension Sequence<SQLQuery> {
    /// All queries in order, with `separator` between them: `conditions.joined(separator: " AND ")`.
    public func joined(separator: SQLQuery = "") -> SQLQuery {
        var whole = SQLQuery()
        for (index, query) in enumerated() {
            if index > 0 { whole.append(separator) }
            whole.append(query)
        }
        return whole
    }
}

// MARK: - Binding

extension SQLQuery {
    /// Appends a placeholder and binds `value` to it.
    mutating func bind<V: SQLEncodable>(_ value: V) {
        if value.isSQLNull { return bindNull(V.sqlType) }
        bind(V.sqlType, V.sqlFormat, V.self) { buffer in try value.encode(into: &buffer) }
    }

    mutating func bindNull(_ type: SQLType) {
        parameters.appendNull(oid: type.rawValue, place: utf8.count)
        Self.appendPlaceholder(parameters.count, to: &utf8)
        checkParameterCount()
    }

    mutating func bindJSON(_ value: some Encodable) {
        bind(.jsonb, .binary, Swift.type(of: value)) { buffer in try JSONForm.encode(value, into: &buffer) }
    }

    private mutating func bind<V>(
        _ type: SQLType, _ format: SQLFormat, _ swiftType: V.Type, _ encode: (inout SQLEncodingBuffer) throws -> Void
    ) {
        do {
            let place = utf8.count
            try parameters.append(oid: type.rawValue, isBinary: format == .binary, place: place) { bytes in
                var buffer = SQLEncodingBuffer()
                swap(&buffer.bytes, &bytes)
                defer { swap(&buffer.bytes, &bytes) }
                let start = buffer.count
                try encode(&buffer)
                guard buffer.count <= Self.maximumSize else {
                    throw SQLValueError("with this value the parameters are larger than 1 GiB")
                }
                if format == .text { try buffer.refuseNUL(from: start) }
            }
        } catch {
            let reason = (error as? SQLValueError)?.reason ?? "its encoding threw \(Swift.type(of: error))"
            refuse("parameter $\(parameters.count + 1) (\(V.self)): \(reason)")
            parameters.appendNull(oid: type.rawValue, place: utf8.count)
        }
        Self.appendPlaceholder(parameters.count, to: &utf8)
        checkParameterCount()
    }

    private mutating func checkParameterCount() {
        guard parameters.count > Self.maximumParameters else { return }
        refuse("the parameters: there are more than \(Self.maximumParameters); bind arrays, or use several statements")
    }
}

extension SQLQuery: CustomStringConvertible {
    /// The text, without the bound values.
    public var description: String { text }
}

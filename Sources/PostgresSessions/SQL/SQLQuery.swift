package import PostgresWire

/// A statement's text and its bound values, as one value.
///
/// Write it as a string literal. What is interpolated becomes a parameter, never text, so that there is nothing to inject:
///
/// ```swift
/// let q: SQLQuery = "SELECT * FROM \(identifier: table) WHERE owner = \(userID) AND tag = ANY(\(tags))"
/// ```
///
/// - `\(value)` binds any ``SQLEncodable``, optionals included: nil is NULL.
/// - `\(json: value)` binds any `Encodable` as jsonb.
/// - `\(fragment)` inserts another query: its text becomes text, its parameters are renumbered.
/// - `\(identifier: name)` inserts a quoted name.
/// - `\(unsafeRaw: text)` inserts text as it is. Never put anything there that came from outside.
///
/// A value that cannot be bound (text with a NUL, more than 1 GiB, more than 65,535 parameters) is remembered, and thrown
/// as ``EngineError/encoding(_:)`` when the query is run; nothing is sent then.
public struct SQLQuery: Sendable {
    /// The text with `$1`, `$2` … where the parameters are.
    package private(set) var text: String
    package private(set) var parameters = WireParameters()
    /// Where in the text's UTF-8 each parameter's `$` stands, in order. The text between is never searched for `$`.
    private var places: [Int] = []
    /// Why this query cannot be run, if it cannot.
    private var refusal: String?

    /// The protocol counts parameters with 16 bits.
    package static let maximumParameters = 65_535
    /// The server's limit for one value (MaxAllocSize).
    package static let maximumValueSize = 0x3FFF_FFFF

    init() { text = "" }

    /// Text as it is, without parameters. Never put anything there that came from outside.
    public init(unsafeRaw text: String) {
        self.text = text
    }

    /// Throws what went wrong while the query was made.
    package func validated() throws(EngineError) {
        if let refusal { throw .encoding(refusal) }
        if text.containsNUL { throw .encoding("the query's text: it contains a NUL character") }
    }

    mutating func reserve(text textCapacity: Int, parameters count: Int) {
        text.reserveCapacity(textCapacity + 2 * count)
        guard count > 0 else { return }
        places.reserveCapacity(count)
        parameters.parameters.reserveCapacity(count)
        parameters.bytes.reserveCapacity(16 * count)
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
        guard !other.places.isEmpty else {
            text += other.text
            return
        }
        guard !places.isEmpty else {
            places = other.places.map { $0 + text.utf8.count }
            text += other.text
            parameters = other.parameters
            return
        }
        appendRenumbered(other)
        checkParameterCount()
    }

    private mutating func appendRenumbered(_ other: SQLQuery) {
        let source = other.text.utf8
        var copied = source.startIndex
        for (index, place) in other.places.enumerated() {
            let placeholder = source.index(source.startIndex, offsetBy: place)
            text += other.text[copied..<placeholder]
            appendPlaceholder(places.count + 1)
            copied = source.index(placeholder, offsetBy: 1 + Self.digits(of: index + 1))
        }
        text += other.text[copied...]
        parameters.append(contentsOf: other.parameters)
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

    private mutating func appendPlaceholder(_ number: Int) {
        places.append(text.utf8.count)
        text += number < Self.placeholders.count ? Self.placeholders[number] : "$" + String(number)
    }

    /// `$1` and so on, ready made for most queries.
    private static let placeholders: [String] = (0..<100).map { "$" + String($0) }

    mutating func append(raw more: String) { text += more }
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
        parameters.appendNull(oid: type.rawValue)
        appendPlaceholder(places.count + 1)
        checkParameterCount()
    }

    mutating func bindJSON(_ value: some Encodable) {
        bind(.jsonb, .binary, Swift.type(of: value)) { buffer in try JSONForm.encode(value, into: &buffer) }
    }

    private mutating func bind<V>(
        _ type: SQLType, _ format: SQLFormat, _ swiftType: V.Type, _ encode: (inout SQLEncodingBuffer) throws -> Void
    ) {
        do {
            try parameters.append(oid: type.rawValue, isBinary: format == .binary) { bytes in
                var buffer = SQLEncodingBuffer()
                swap(&buffer.bytes, &bytes)
                defer { swap(&buffer.bytes, &bytes) }
                let start = buffer.count
                try encode(&buffer)
                guard buffer.count - start <= Self.maximumValueSize else {
                    throw SQLValueError("the value is larger than 1 GiB")
                }
                if format == .text { try buffer.refuseNUL(from: start) }
            }
        } catch {
            let reason = (error as? SQLValueError)?.reason ?? "its encoding threw \(Swift.type(of: error))"
            refuse("parameter $\(places.count + 1) (\(V.self)): \(reason)")
            parameters.appendNull(oid: type.rawValue)
        }
        appendPlaceholder(places.count + 1)
        checkParameterCount()
    }

    private mutating func checkParameterCount() {
        guard places.count > Self.maximumParameters else { return }
        refuse("the parameters: there are more than \(Self.maximumParameters); bind arrays, or use several statements")
    }
}

extension SQLQuery: CustomStringConvertible {
    /// The text, without the bound values.
    public var description: String { text }
}

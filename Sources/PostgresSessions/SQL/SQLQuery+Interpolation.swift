extension SQLQuery: ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) { self.init(unsafeRaw: value) }
    public init(stringInterpolation: StringInterpolation) { self = stringInterpolation.query }

    /// What a string literal of type ``SQLQuery`` may interpolate.
    public struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var query = SQLQuery()

        public init(literalCapacity: Int, interpolationCount: Int) {
            query.reserve(text: literalCapacity, parameters: interpolationCount)
        }

        public mutating func appendLiteral(_ literal: String) { query.append(raw: literal) }

        /// Binds a value as a parameter.
        public mutating func appendInterpolation<V: SQLEncodable>(_ value: V) { query.bind(value) }

        /// Binds a value as a parameter; nil is NULL.
        public mutating func appendInterpolation<V: SQLEncodable>(_ value: V?) {
            if let value { query.bind(value) } else { query.bindNull(V.sqlType) }
        }

        /// Binds the raw value of an enum, or of anything else that has one and no form of its own.
        @_disfavoredOverload
        public mutating func appendInterpolation<V: RawRepresentable>(_ value: V) where V.RawValue: SQLEncodable {
            query.bind(value.rawValue)
        }

        /// As above; nil is NULL.
        @_disfavoredOverload
        public mutating func appendInterpolation<V: RawRepresentable>(_ value: V?) where V.RawValue: SQLEncodable {
            if let value { query.bind(value.rawValue) } else { query.bindNull(V.RawValue.sqlType) }
        }

        // Else the compiler's advice would be to write `json:`.
        @available(*, unavailable, message: "make its type SQLEncodable; or bind it as jsonb, with \\(json: …)")
        @_disfavoredOverload
        public mutating func appendInterpolation<V>(_ value: V) {}

        /// Binds any `Encodable` as jsonb.
        public mutating func appendInterpolation(json value: some Encodable) { query.bindJSON(value) }

        /// Inserts another query's text and parameters.
        public mutating func appendInterpolation(_ fragment: SQLQuery) { query.append(fragment) }

        /// Inserts a name in double quotes: case is kept, and nothing in it can end the quotes.
        public mutating func appendInterpolation(identifier: String) {
            do {
                query.append(raw: try SQLIdentifier.quoted(identifier))
            } catch {
                query.refuse(error.reason)
            }
        }

        /// Inserts text as it is. Never put anything there that came from outside.
        public mutating func appendInterpolation(unsafeRaw text: String) { query.append(raw: text) }
    }
}

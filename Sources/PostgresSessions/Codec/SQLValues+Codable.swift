// The types of this library in whatever is `Codable`: fields of rows, elements of composites, and parts of JSON. Rows and
// composites decode them by their codecs; in JSON and other forms a value is its text, as the server prints it.

extension SingleValueDecodingContainer {
    fileprivate func decodeSQL<V: SQLDecodable>(_ type: V.Type, _ sqlType: SQLType) throws -> V {
        var text = try decode(String.self)
        do {
            return try text.withUTF8 {
                try V(sqlCell: SQLCell(bytes: UnsafeRawBufferPointer($0), type: sqlType, isBinary: false))
            }
        } catch let error as SQLValueError {
            throw DecodingError.dataCorruptedError(in: self, debugDescription: error.reason)
        }
    }
}

extension SingleValueEncodingContainer {
    /// From the binary form, which says the same as the text.
    fileprivate mutating func encodeSQL<V: SQLEncodable>(_ value: V) throws {
        var buffer = SQLEncodingBuffer()
        try value.encode(into: &buffer)
        let text = try buffer.bytes.withUnsafeBytes {
            try TextForm.render(SQLCell(bytes: $0, type: V.sqlType, isBinary: V.sqlFormat == .binary))
        }
        try encode(text)
    }
}

extension SQLDate: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLTime: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLTimeWithZone: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLTimestamp: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLInterval: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLInet: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLBits: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLPoint: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLLine: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLLineSegment: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLBox: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLPath: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLPolygon: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLCircle: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLRange: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLMultirange: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, Self.sqlType)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

extension SQLMACAddress: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.singleValueContainer().decodeSQL(Self.self, .macaddr)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeSQL(self)
    }
}

/// As its number of smallest units.
extension SQLMoney: Codable {
    public init(from decoder: any Decoder) throws {
        smallestUnits = try decoder.singleValueContainer().decode(Int64.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(smallestUnits)
    }
}

/// As a dictionary.
extension SQLHStore: Codable {
    public init(from decoder: any Decoder) throws {
        pairs = try decoder.singleValueContainer().decode([String: String?].self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(pairs)
    }
}

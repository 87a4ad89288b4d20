/// An IPv4 or IPv6 host or network: PostgreSQL's `inet`, and `cidr` where ``isNetwork`` is true.
public struct SQLInet: Hashable, Sendable, SQLEncodable, SQLDecodable {
    /// Four bytes for IPv4, sixteen for IPv6.
    public let address: [UInt8]
    /// How many leading bits are the network's.
    public let prefixLength: UInt8
    /// Whether this came from, or is to go to, a `cidr`.
    public let isNetwork: Bool

    /// nil when `address` has neither 4 nor 16 bytes, or the prefix is longer than the address.
    public init?(address: [UInt8], prefixLength: UInt8? = nil, isNetwork: Bool = false) {
        guard address.count == 4 || address.count == 16 else { return nil }
        let length = prefixLength ?? UInt8(address.count * 8)
        guard Int(length) <= address.count * 8 else { return nil }
        self.address = address
        self.prefixLength = length
        self.isNetwork = isNetwork
    }

    public static var sqlType: SQLType { .inet }
    public static var sqlArrayType: SQLType { .inetArray }

    // PGSQL_AF_INET and PGSQL_AF_INET6 of PostgreSQL's utils/inet.h: its own numbers, the same on every system.
    private static let family4: UInt8 = 2
    private static let family6: UInt8 = 3

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, sqlCell.type == .inet || sqlCell.type == .cidr else {
            let text = try sqlCell.text(of: .inet, .cidr, as: SQLInet.self)
            guard let inet = NetworkText.inet(text, isNetwork: sqlCell.type == .cidr) else {
                throw sqlCell.unreadable(SQLInet.self)
            }
            self = inet
            return
        }
        var reader = ByteReader(sqlCell.bytes)
        let family: UInt8 = try reader.integer()
        let prefix: UInt8 = try reader.integer()
        let isNetwork: UInt8 = try reader.integer()
        let count: UInt8 = try reader.integer()
        let address = Array(try reader.take(Int(count)))
        guard reader.remaining == 0, family == (count == 4 ? Self.family4 : Self.family6),
            let inet = SQLInet(address: address, prefixLength: prefix, isNetwork: isNetwork != 0)
        else { throw SQLValueError("an address of a form that is neither IPv4 nor IPv6") }
        self = inet
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        let family = address.count == 4 ? Self.family4 : Self.family6
        buffer.append([family, prefixLength, isNetwork ? 1 : 0, UInt8(address.count)])
        buffer.append(address)
    }
}

extension SQLInet: CustomStringConvertible {
    /// `192.168.0.1`, `10.0.0.0/8`, `2001:db8::1`, as the server prints it.
    public var description: String {
        let host = address.count == 4 ? address.map(String.init).joined(separator: ".") : textOfIPv6
        return isNetwork || Int(prefixLength) != address.count * 8 ? "\(host)/\(prefixLength)" : host
    }

    /// The first longest run of two zero groups or more becomes `::`; addresses that embed IPv4 show it.
    private var textOfIPv6: String {
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(address[$0]) << 8 | UInt16(address[$0 + 1]) }
        var run = 0..<0
        var start = 0
        while start < 8 {
            let end = groups[start...].firstIndex { $0 != 0 } ?? 8
            if end - start > max(1, run.count) { run = start..<end }
            start = max(end, start + 1)
        }
        var parts = groups.map { String($0, radix: 16) }
        let embeds = run.lowerBound == 0 && (run.count == 6 || (run.count == 5 && groups[5] == 0xFFFF))
        if embeds { parts[6...7] = [address[12...].map(String.init).joined(separator: ".")] }
        guard !run.isEmpty else { return parts.joined(separator: ":") }
        return parts[..<run.lowerBound].joined(separator: ":") + "::" + parts[run.upperBound...].joined(separator: ":")
    }
}

/// A hardware address of 6 or 8 bytes: PostgreSQL's `macaddr` and `macaddr8`.
public struct SQLMACAddress: Hashable, Sendable, SQLDecodable {
    public let bytes: [UInt8]

    /// nil when there are neither 6 nor 8 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 6 || bytes.count == 8 else { return nil }
        self.bytes = bytes
    }

    public init(sqlCell: SQLCell) throws {
        guard sqlCell.isBinary, sqlCell.type == .macaddr || sqlCell.type == .macaddr8 else {
            let text = try sqlCell.text(of: .macaddr, .macaddr8, as: SQLMACAddress.self)
            guard let address = NetworkText.mac(text) else { throw sqlCell.unreadable(SQLMACAddress.self) }
            self = address
            return
        }
        guard let address = SQLMACAddress(bytes: Array(sqlCell.bytes)) else { throw sqlCell.sizeMismatch(expected: 6) }
        self = address
    }
}

/// Bound as text, which fits both types.
extension SQLMACAddress: SQLEncodable, CustomStringConvertible {
    public static var sqlType: SQLType { .unknown }
    public static var sqlFormat: SQLFormat { .text }
    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(text: description) }

    /// `08:00:2b:01:02:03`, as the server prints it.
    public var description: String { bytes.map { ByteForm.hex([$0]) }.joined(separator: ":") }
}

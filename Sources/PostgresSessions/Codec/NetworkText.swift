/// The text of addresses, as the server prints them.
enum NetworkText {
    /// `10.0.0.0/8`, `2001:db8::1`, `::ffff:1.2.3.4/96`; nil when it is none.
    static func inet(_ text: some StringProtocol, isNetwork: Bool) -> SQLInet? {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let host = parts.first, let address = host.contains(":") ? six(host) : four(host) else { return nil }
        guard parts.count == 2 else { return SQLInet(address: address, isNetwork: isNetwork) }
        guard let length = UInt8(parts[1]) else { return nil }
        return SQLInet(address: address, prefixLength: length, isNetwork: isNetwork)
    }

    private static func four(_ text: some StringProtocol) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return parts.count == 4 && !parts.contains(nil) ? parts.compactMap { $0 } : nil
    }

    private static func six(_ text: some StringProtocol) -> [UInt8]? {
        var halves: [[UInt8]] = []
        var rest = Substring(text)
        if let gap = rest.firstRange(of: "::") {
            guard let first = groups(rest[..<gap.lowerBound]) else { return nil }
            halves.append(first)
            rest = rest[gap.upperBound...]
        }
        guard let last = groups(rest) else { return nil }
        let missing = 16 - last.count - (halves.first?.count ?? 0)
        guard halves.isEmpty ? missing == 0 : missing >= 2 else { return nil }
        return (halves.first ?? []) + Array(repeating: 0, count: missing) + last
    }

    private static func groups(_ text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        guard !text.isEmpty else { return bytes }
        for group in text.split(separator: ":", omittingEmptySubsequences: false) {
            if group.contains(".") {
                guard let address = four(group) else { return nil }
                bytes += address
            } else {
                guard group.utf8.count <= 4, let value = UInt16(group, radix: 16) else { return nil }
                bytes += [UInt8(value >> 8), UInt8(value & 0xFF)]
            }
        }
        return bytes.count <= 16 ? bytes : nil
    }

    /// `08:00:2b:01:02:03`, of 6 or 8 bytes.
    static func mac(_ text: some StringProtocol) -> SQLMACAddress? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
        return bytes.count == parts.count ? SQLMACAddress(bytes: bytes) : nil
    }
}

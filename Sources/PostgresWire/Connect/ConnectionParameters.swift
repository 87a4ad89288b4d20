internal import CLibPQ

/// A connection string, parsed by libpq and checked keyword by keyword. Opens nothing.
package struct ConnectionParameters: Sendable {
    /// In libpq's words, without its defaults.
    package private(set) var values: [String: String]

    /// Parses a URI or a key=value string. The error says what is wrong, never what a password may be part of.
    package init(parsing text: String) throws(WireConnectFailure) {
        guard !text.utf8.contains(0) else { throw Self.malformed("it contains a NUL byte") }
        if let scheme = text.firstRange(of: "://"), !text[..<scheme.lowerBound].contains(where: { "= '".contains($0) })
        {
            guard ["postgresql", "postgres"].contains(text[..<scheme.lowerBound]) else {
                throw Self.malformed("its scheme must be postgresql:// or postgres://")
            }
        }
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &message) else {
            defer { PQfreemem(message) }
            throw Self.malformed(Self.harmless(message.map { String(cString: $0) } ?? "out of memory"))
        }
        defer { PQconninfoFree(options) }
        values = [:]
        Self.forEach(options) { keyword, value in if let value { values[keyword] = value } }
        try checkWhatLibpqChecksLate()
    }

    /// libpq looks at these when it connects; a typo should not be retried until a timeout.
    private func checkWhatLibpqChecksLate() throws(WireConnectFailure) {
        let ports = (values["port"] ?? "").split(separator: ",", omittingEmptySubsequences: false)
        for port in ports where !port.isEmpty {
            guard let number = Int(port), (1...65535).contains(number) else {
                // Where a / of the password was not encoded, what stands here is a piece of it.
                throw Self.malformed("port must be 1 to 65535; a / in user or password is written %2F")
            }
        }
        for host in (values["host"] ?? "").split(separator: ",") where host.dropFirst().contains("@") {
            throw Self.malformed("a host cannot contain @; an @ in user or password is written %40")
        }
        let names = ["host", "hostaddr"].compactMap {
            values[$0]?.split(separator: ",", omittingEmptySubsequences: false)
        }
        if ports.count > 1, let hosts = names.map(\.count).max(), ports.count != hosts {
            throw Self.malformed("\(ports.count) ports for \(hosts) hosts")
        }
        for keyword in [
            "connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
        ] {
            guard let value = values[keyword], Int(value) == nil else { continue }
            throw Self.malformed("\(keyword) must be a whole number")
        }
        let choices: [String: [String]] = [
            "sslmode": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
            "target_session_attrs": ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"],
        ]
        for (keyword, allowed) in choices {
            guard let value = values[keyword], !value.isEmpty, !allowed.contains(value) else { continue }
            throw Self.malformed("\(keyword) must be one of \(allowed.joined(separator: ", "))")
        }
    }

    package subscript(keyword: String) -> String? {
        get { values[keyword] }
        set { values[keyword] = newValue }
    }

    /// The value libpq would use: given here, else from the PG* environment or its defaults.
    package func resolved(_ keyword: String) -> String? { values[keyword] ?? Self.defaults[keyword] }

    /// Every keyword this libpq knows, with its default where it has one.
    package static var defaults: [String: String] {
        guard let options = PQconndefaults() else { return [:] }
        defer { PQconninfoFree(options) }
        var found: [String: String] = [:]
        forEach(options) { keyword, value in if let value { found[keyword] = value } }
        return found
    }

    private static func forEach(_ options: UnsafeMutablePointer<PQconninfoOption>, _ body: (String, String?) -> Void) {
        var option = options
        while let keyword = option.pointee.keyword {
            body(String(cString: keyword), option.pointee.val.map { String(cString: $0) })
            option += 1
        }
    }

    private static func malformed(_ message: String) -> WireConnectFailure {
        WireConnectFailure(
            reason: .configuration, target: "", message: "the connection string is malformed: \(message)")
    }

    /// libpq quotes pieces of its input. Only what looks like a keyword's name is let through: the rest may hold a password.
    static func harmless(_ message: String) -> String {
        let text = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        let namesKeyword = [
            "invalid connection option", "invalid URI query parameter", "unrecognized", "invalid integer value",
            "invalid sslmode",
        ].contains { text.hasPrefix($0) }
        let pieces = text.split(separator: "\"", omittingEmptySubsequences: false)
        return pieces.enumerated().map { index, piece in
            let isQuoted = index % 2 == 1
            let isWord = piece.utf8.allSatisfy { $0 == 0x5F || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) }
            return isQuoted && !(namesKeyword && isWord) ? "…" : String(piece)
        }.joined(separator: "\"")
    }
}

extension ConnectionParameters: CustomStringConvertible, CustomReflectable {
    /// Where to, and as whom; never a password.
    package var description: String {
        ["host", "hostaddr", "port", "dbname", "user", "service"]
            .compactMap { keyword in values[keyword].map { "\(keyword)=\($0)" } }.joined(separator: " ")
    }

    package var customMirror: Mirror { Mirror(self, children: ["target": description]) }
}

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
import Foundation

/// Where a proxy leads, read from a libpq URI. The URI's user, password, database and parameters stay as they are
/// written: only the host and port are replaced.
struct ProxyTarget {
    let host: String
    let port: String
    private let prefix: String  // "postgresql://user:password@"
    private let database: String  // "/database" or ""
    private let parameters: [String]  // "key=value", still percent-encoded, without the host's
    private let namedHostIsVerified: Bool

    init(url: String) throws(TestingError) {
        guard let scheme = ["postgresql://", "postgres://"].first(where: url.hasPrefix) else {
            throw .unsupportedURL("it does not begin with postgresql:// (key=value strings are not supported)")
        }
        var rest = url.dropFirst(scheme.count)
        var parameters: [String] = []
        if let mark = rest.firstIndex(of: "?") {
            parameters = rest[rest.index(after: mark)...].split(separator: "&").map(String.init)
            rest = rest[..<mark]
        }
        let authorityEnd = rest.firstIndex(of: "/") ?? rest.endIndex
        database = String(rest[authorityEnd...])
        let authority = rest[..<authorityEnd]
        let hostStart = authority.lastIndex(of: "@").map(authority.index(after:)) ?? authority.startIndex
        prefix = scheme + authority[..<hostStart]

        var (host, port) = try Self.split(hostAndPort: authority[hostStart...])
        var address: String?
        for parameter in parameters {
            let value = parameter.drop { $0 != "=" }.dropFirst()
            switch parameter.prefix(while: { $0 != "=" }) {
            case "host": host = try Self.decoded(value)
            case "hostaddr": address = try Self.decoded(value)
            case "port": port = try Self.decoded(value)
            default: break
            }
        }
        let name = host
        self.host = address ?? host
        self.port = port.isEmpty ? "5432" : port
        self.parameters = parameters.filter { parameter in
            !["host", "hostaddr", "port"].contains { parameter.hasPrefix("\($0)=") }
        }
        // The certificate is checked against the name, which therefore has to stay.
        namedHostIsVerified =
            parameters.contains("sslmode=verify-full") && !name.isEmpty && !Self.isNumeric(name)
            && !name.hasPrefix("/")
        verifiedName = name
        if self.host.isEmpty { throw .unsupportedURL("it names no host") }
        if "\(self.host)\(self.port)".contains(",") {
            throw .unsupportedURL("it names several hosts; give the proxy one")
        }
    }

    private let verifiedName: String

    /// The URI that leads to the proxy.
    func url(port: UInt16) -> String {
        let authority = namedHostIsVerified ? "\(verifiedName):\(port)" : "127.0.0.1:\(port)"
        let all = namedHostIsVerified ? parameters + ["hostaddr=127.0.0.1"] : parameters
        return prefix + authority + database + (all.isEmpty ? "" : "?" + all.joined(separator: "&"))
    }

    /// The target's addresses. Blocks for as long as the name service does.
    func addresses() throws(TestingError) -> [SocketAddress] {
        if host.hasPrefix("/") { return [try SocketAddress(unixPath: "\(host)/.s.PGSQL.\(port)")] }
        return try SocketAddress.resolve(host: host, port: port)
    }

    private static func split(hostAndPort text: Substring) throws(TestingError) -> (host: String, port: String) {
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw .unsupportedURL("its IPv6 host has no closing ]") }
            let after = text[text.index(after: end)...]
            return (String(text[text.index(after: text.startIndex)..<end]), String(after.dropFirst()))
        }
        guard let colon = text.lastIndex(of: ":") else { return (try decoded(text), "") }
        return (try decoded(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    private static func decoded(_ text: Substring) throws(TestingError) -> String {
        guard let decoded = String(text).removingPercentEncoding else {
            throw .unsupportedURL("its host or port is not percent-encoded as URIs are")
        }
        return decoded
    }

    private static func isNumeric(_ host: String) -> Bool {
        var four = in_addr()
        var six = in6_addr()
        return inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1
    }
}

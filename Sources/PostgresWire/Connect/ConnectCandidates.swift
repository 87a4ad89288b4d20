internal import CLibPQ

#if canImport(Darwin)
    internal import Darwin
#else
    internal import Glibc
#endif

extension ConnectionParameters {
    /// One host of the connection string, before its name is resolved.
    struct Host: Sendable {
        var name: String
        var address: String?
        var port: String

        var target: String {
            if name.isEmpty { return "the default socket, port \(port)" }
            return name.hasPrefix("/") ? "\(name)/.s.PGSQL.\(port)" : "\(name):\(port)"
        }
        var needsResolving: Bool { address == nil && !name.isEmpty && !name.hasPrefix("/") && !name.hasPrefix("@") }
    }

    /// The hosts in order; empty where a service file decides, which only libpq reads.
    var hosts: [Host] {
        guard values["service"] == nil else { return [] }
        let defaults = Self.defaults
        func list(_ keyword: String) -> [String] {
            let text = values[keyword] ?? defaults[keyword] ?? ""
            return text.isEmpty ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        // A host in the string outranks an address from the environment.
        let addresses = values["host"] != nil && values["hostaddr"] == nil ? [] : list("hostaddr")
        let (names, ports) = (list("host"), list("port"))
        return (0..<max(names.count, addresses.count, 1)).map { i in
            let port = ports.count > 1 && i < ports.count ? ports[i] : ports.first ?? ""
            return Host(
                name: i < names.count ? names[i] : "", address: i < addresses.count ? addresses[i] : nil,
                port: port.isEmpty ? "5432" : port)
        }
    }

    /// The addresses of one host, each a candidate of its own with a deadline of its own. Blocks on name resolution.
    func candidates(for host: Host) throws(WireConnectFailure) -> [ConnectCandidate] {
        var parameters = baseParameters
        parameters["host"] = host.name.isEmpty ? nil : host.name
        parameters["hostaddr"] = host.address
        parameters["port"] = host.port
        guard host.needsResolving else { return [ConnectCandidate(parameters: parameters, target: host.target)] }
        return try Self.addresses(of: host).map { address in
            parameters["hostaddr"] = address
            let target = address == host.name ? host.target : "\(host.target) (\(address))"
            return ConnectCandidate(parameters: parameters, target: target)
        }
    }

    /// For a service file: libpq finds the host.
    var undividedCandidate: ConnectCandidate {
        ConnectCandidate(parameters: baseParameters, target: "service \(values["service"] ?? "")")
    }

    /// What every connection gets unless the string says otherwise. Text is UTF-8, always.
    private var baseParameters: [String: String] {
        var all = [
            "fallback_application_name": "PostgresSessions", "keepalives_idle": "30", "keepalives_interval": "10",
            "keepalives_count": "3", "tcp_user_timeout": "30000",
        ]
        if getenv("PGGSSENCMODE") == nil { all["gssencmode"] = "disable" }
        all.merge(values) { _, given in given }
        all["client_encoding"] = "UTF8"
        return all
    }

    private static func addresses(of host: Host) throws(WireConnectFailure) -> [String] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_protocol = Int32(IPPROTO_TCP)
        var found: UnsafeMutablePointer<addrinfo>?
        let error = getaddrinfo(host.name, nil, &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        var addresses: [String] = []
        var next = error == 0 ? found : nil
        while let info = next {
            var text = [CChar](repeating: 0, count: 1025)
            let length = socklen_t(text.count)
            if getnameinfo(info.pointee.ai_addr, info.pointee.ai_addrlen, &text, length, nil, 0, NI_NUMERICHOST) == 0 {
                let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if !addresses.contains(address) { addresses.append(address) }
            }
            next = info.pointee.ai_next
        }
        guard !addresses.isEmpty else {
            let reason = error == 0 ? "it has no address" : String(cString: gai_strerror(error))
            throw WireConnectFailure(
                reason: .nameResolution, target: host.target,
                message: "could not translate host name \"\(host.name)\" to an address: \(reason)")
        }
        return addresses
    }
}

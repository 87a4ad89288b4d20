#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A socket's address, as the bytes that the system takes.
struct SocketAddress: Sendable {
    let family: Int32
    private let bytes: [UInt8]

    private init(family: Int32, bytes: [UInt8]) {
        self.family = family
        self.bytes = bytes
    }

    /// 127.0.0.1 at a port; 0 lets the system choose one.
    static func loopback(port: UInt16) -> SocketAddress {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return SocketAddress(family: AF_INET, bytes: withUnsafeBytes(of: &address) { Array($0) })
    }

    init(unixPath path: String) throws(TestingError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard path.utf8.count <= room else { throw .unsupportedURL("its socket folder's path is too long") }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        self.init(family: AF_UNIX, bytes: withUnsafeBytes(of: &address) { Array($0) })
    }

    /// All addresses of a name, in the resolver's order.
    static func resolve(host: String, port: String) throws(TestingError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = streamSocketType
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, port, &hints, &list)
        guard status == 0 else {
            throw .hostNotFound(
                host: host, reason: gai_strerror(status).map { String(cString: $0) } ?? "error \(status)")
        }
        defer { freeaddrinfo(list) }
        return sequence(first: list, next: { $0?.pointee.ai_next }).compactMap { entry in
            guard let entry, let address = entry.pointee.ai_addr else { return nil }
            let raw = UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))
            return SocketAddress(family: entry.pointee.ai_family, bytes: Array(raw))
        }
    }

    func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        bytes.withUnsafeBytes { raw in
            body(raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
        }
    }
}

#if canImport(Glibc)
    let streamSocketType = Int32(SOCK_STREAM.rawValue)
#else
    let streamSocketType = SOCK_STREAM
#endif

/// A stream socket that never blocks, is not inherited, sends without delay and raises no signal.
func makeSocket(family: Int32) throws(TestingError) -> Int32 {
    #if canImport(Glibc)
        let type = streamSocketType | Int32(SOCK_CLOEXEC.rawValue)
    #elseif canImport(Musl)
        let type = streamSocketType | SOCK_CLOEXEC
    #else
        let type = streamSocketType
    #endif
    let socket = socket(family, type, 0)
    guard socket >= 0 else { throw .systemCall("socket", errno) }
    prepare(socket: socket)
    return socket
}

/// What `makeSocket` promises, for a socket that `accept` returned.
func prepare(socket: Int32) {
    _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
    _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK)
    set(socket, Int32(IPPROTO_TCP), TCP_NODELAY)
    #if canImport(Darwin)
        set(socket, SOL_SOCKET, SO_NOSIGPIPE)
    #endif
}

/// Turns a yes-or-no option on; a socket that does not know it (TCP_NODELAY on a Unix socket) stays as it is.
func set(_ socket: Int32, _ level: Int32, _ option: Int32) {
    var on: Int32 = 1
    setsockopt(socket, level, option, &on, socklen_t(MemoryLayout<Int32>.size))
}

/// Closing the socket will send RST instead of FIN.
func resetWhenClosed(_ socket: Int32) {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
}

#if canImport(Darwin)
    let sendFlags: Int32 = 0
#else
    let sendFlags = Int32(MSG_NOSIGNAL)
#endif

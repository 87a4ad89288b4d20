#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A loopback port that is either listened on or refused, and that nobody else can take in between: while refused, it
/// is held by a bound socket that does not listen, which the system answers for with ECONNREFUSED.
struct Listener: ~Copyable {
    let port: UInt16
    private(set) var socket: Int32
    private(set) var accepts = true

    init() throws(TestingError) {
        let socket = try makeSocket(family: AF_INET)
        guard Self.bind(socket, port: 0), listen(socket, 512) == 0 else {
            let number = errno
            _ = close(socket)
            throw .systemCall("listen", number)
        }
        self.socket = socket
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
        }
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit {
        _ = shutdown(socket, Int32(SHUT_RDWR))
        _ = close(socket)
    }

    mutating func refuse() {
        guard accepts else { return }
        // Shut down first: a child process may have inherited the descriptor before it could be marked.
        _ = shutdown(socket, Int32(SHUT_RDWR))
        _ = close(socket)
        socket = (try? makeSocket(family: AF_INET)) ?? -1
        _ = Self.bind(socket, port: port)
        accepts = false
    }

    mutating func accept() {
        guard !accepts else { return }
        accepts = listen(socket, 512) == 0
    }

    /// The next connection that waits, if any.
    func next() -> Int32? {
        #if canImport(Darwin)
            let client = Darwin.accept(socket, nil, nil)
        #elseif canImport(Musl)
            let client = Musl.accept(socket, nil, nil)
        #else
            let client = Glibc.accept(socket, nil, nil)
        #endif
        guard client >= 0 else { return nil }
        prepare(socket: client)
        return client
    }

    private static func bind(_ socket: Int32, port: UInt16) -> Bool {
        set(socket, SOL_SOCKET, SO_REUSEADDR)
        return SocketAddress.loopback(port: port).withSockaddr { address, length in
            #if canImport(Darwin)
                Darwin.bind(socket, address, length) == 0
            #elseif canImport(Musl)
                Musl.bind(socket, address, length) == 0
            #else
                Glibc.bind(socket, address, length) == 0
            #endif
        }
    }
}

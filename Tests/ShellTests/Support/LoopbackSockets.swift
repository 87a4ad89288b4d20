// The few system calls that a server of one thread needs.

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

#if canImport(Glibc)
    private let stream = Int32(SOCK_STREAM.rawValue)
#else
    private let stream = SOCK_STREAM
#endif

/// A listening socket on a port of loopback that the system chose, and a pipe that wakes whoever polls.
struct LoopbackSockets {
    let listening: Int32
    let port: UInt16
    let wakeEnd: Int32
    let wokenEnd: Int32

    struct Failure: Error { var number: Int32 }

    init() throws(Failure) {
        listening = socket(AF_INET, stream, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (socket, size) = (listening, length)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(socket, $0, size)
                _ = getsockname(socket, $0, &length)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        var ends: [Int32] = [-1, -1]
        guard listen(socket, 512) == 0, pipe(&ends) == 0 else { throw Failure(number: errno) }
        (wokenEnd, wakeEnd) = (ends[0], ends[1])
        for descriptor in [listening, wokenEnd, wakeEnd] { Self.prepare(descriptor) }
    }

    func accept() -> Int32? {
        #if canImport(Darwin)
            let client = Darwin.accept(listening, nil, nil)
        #elseif canImport(Musl)
            let client = Musl.accept(listening, nil, nil)
        #else
            let client = Glibc.accept(listening, nil, nil)
        #endif
        guard client >= 0 else { return nil }
        Self.prepare(client)
        var on: Int32 = 1
        setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        #if canImport(Darwin)
            setsockopt(client, SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout<Int32>.size))
        #endif
        return client
    }

    func close() { for descriptor in [listening, wokenEnd, wakeEnd] { Self.close(descriptor) } }

    /// Waits until one of the descriptors stirs, or so long. Returns those that can be read or have ended.
    func poll(_ clients: [(descriptor: Int32, wantsToWrite: Bool)], milliseconds: Int32) -> Set<Int32> {
        var entries = [listening, wokenEnd].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        entries += clients.map { client in
            pollfd(fd: client.descriptor, events: Int16(client.wantsToWrite ? POLLIN | POLLOUT : POLLIN), revents: 0)
        }
        #if canImport(Darwin)
            _ = Darwin.poll(&entries, nfds_t(entries.count), milliseconds)
        #elseif canImport(Musl)
            _ = Musl.poll(&entries, nfds_t(entries.count), milliseconds)
        #else
            _ = Glibc.poll(&entries, nfds_t(entries.count), milliseconds)
        #endif
        return Set(entries.lazy.filter { $0.revents != 0 }.map(\.fd))
    }

    func drainWakes() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(wokenEnd, &bytes, bytes.count) > 0 {}
    }

    static func wake(_ end: Int32) {
        var byte: UInt8 = 1
        _ = write(end, &byte, 1)
    }

    private static func prepare(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    static func close(_ descriptor: Int32) {
        #if canImport(Darwin)
            _ = Darwin.close(descriptor)
        #elseif canImport(Musl)
            _ = Musl.close(descriptor)
        #else
            _ = Glibc.close(descriptor)
        #endif
    }

    /// What has arrived; nil where the peer has ended.
    static func receive(_ descriptor: Int32) -> [UInt8]? {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 32 * 1024)
        while true {
            let count = recv(descriptor, &piece, piece.count, 0)
            if count == 0 { return all.isEmpty ? nil : all }
            guard count > 0 else { return errno == EAGAIN || errno == EINTR ? all : nil }
            all += piece[..<count]
        }
    }

    /// How many bytes the socket took.
    static func send(_ bytes: [UInt8], _ descriptor: Int32) -> Int {
        #if canImport(Darwin)
            max(0, Darwin.send(descriptor, bytes, bytes.count, 0))
        #elseif canImport(Musl)
            max(0, Musl.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)))
        #else
            max(0, Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)))
        #endif
    }
}

// The smallest client and server that a proxy and a server can be tested with: blocking sockets, each with a deadline.

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
import Foundation
import Synchronization

#if canImport(Glibc)
    private let stream = Int32(SOCK_STREAM.rawValue)
#else
    private let stream = SOCK_STREAM
#endif

struct SocketFailure: Error, Equatable {
    var number: Int32
}

private func loopback(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
}

/// A blocking TCP connection to loopback.
final class Peer {
    private let socket: Int32

    init(port: Int) throws {
        socket = unsafe_socket()
        var address = loopback(port)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // An initializer that throws here still runs deinit, which closes the socket.
        guard result == 0 else { throw SocketFailure(number: errno) }
        var on: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        wait(atMost: 10)
    }

    deinit { close(socket) }

    /// How long a read or a write may take before it fails with EAGAIN.
    func wait(atMost seconds: Double) {
        var time = timeval()
        time.tv_sec = .init(seconds)
        time.tv_usec = .init((seconds - seconds.rounded(.down)) * 1_000_000)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(socket, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count { sent += try write(Array(bytes[sent...])) }
    }

    /// Writes once, as much as the socket takes.
    func write(_ bytes: [UInt8]) throws -> Int {
        #if canImport(Darwin)
            let count = Darwin.send(socket, bytes, bytes.count, 0)
        #elseif canImport(Musl)
            let count = Musl.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        #else
            let count = Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        #endif
        guard count >= 0 else { throw SocketFailure(number: errno) }
        return count
    }

    /// Reads exactly `count` bytes, or fewer if the connection ends before.
    func receive(_ count: Int) throws -> [UInt8] {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 * 1024)
        while all.count < count {
            let got = recv(socket, &piece, min(piece.count, count - all.count), 0)
            guard got >= 0 else { throw SocketFailure(number: errno) }
            if got == 0 { break }
            all += piece[..<got]
        }
        return all
    }

    func receiveText(_ count: Int) throws -> String { String(decoding: try receive(count), as: UTF8.self) }

    /// Reads until the connection ends.
    func receiveAll() throws -> [UInt8] { try receive(.max) }
}

private func unsafe_socket() -> Int32 { socket(AF_INET, stream, 0) }

/// Answers every byte with itself, and remembers what it has heard, connection by connection.
final class EchoServer: Sendable {
    let port: Int
    private let heard = Mutex<[[UInt8]]>([])
    private let listening: Int32

    init() throws {
        let listening = unsafe_socket()
        self.listening = listening
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(listening, $0, length)
                _ = getsockname(listening, $0, &length)
            }
        }
        guard listen(listening, 64) == 0 else { throw SocketFailure(number: errno) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in acceptAll() }
    }

    var url: String { "postgresql://user@127.0.0.1:\(port)/database" }

    /// What has come over each connection so far, in the order in which they were opened.
    var bytes: [[UInt8]] { heard.withLock { $0 } }

    private func acceptAll() {
        while case let client = accept(listening, nil, nil), client >= 0 {
            let number = heard.withLock { heard in
                heard.append([])
                return heard.count - 1
            }
            Thread.detachNewThread { [self] in echo(client, number) }
        }
    }

    private func echo(_ client: Int32, _ number: Int) {
        defer { close(client) }
        var piece = [UInt8](repeating: 0, count: 64 * 1024)
        while case let count = recv(client, &piece, piece.count, 0), count > 0 {
            heard.withLock { $0[number] += piece[..<count] }
            var sent = 0
            while sent < count {
                #if canImport(Darwin)
                    let more = Darwin.send(client, Array(piece[sent..<count]), count - sent, 0)
                #elseif canImport(Musl)
                    let more = Musl.send(client, Array(piece[sent..<count]), count - sent, Int32(MSG_NOSIGNAL))
                #else
                    let more = Glibc.send(client, Array(piece[sent..<count]), count - sent, Int32(MSG_NOSIGNAL))
                #endif
                if more < 0 { return }
                sent += more
            }
        }
    }
}

/// Waits until a condition holds, at most ten seconds.
func eventually(_ condition: () -> Bool) async -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
        if ContinuousClock.now > deadline { return false }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return true
}

func isAlive(_ pid: Int32) -> Bool {
    guard kill(pid, 0) == 0 || errno == EPERM else { return false }
    // A zombie that nobody has reaped yet is dead.
    let status = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
    return !status.contains(") Z ")
}

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// One connection through the proxy: the client's socket, the server's, and what is on its way between them.
/// Belongs to the proxy's thread.
final class ProxiedConnection {
    let client: Int32
    var server: Int32 = -1
    let toServer: Lane
    let toClient: Lane
    var nextAddress = 0  // of the target's addresses, the one to try when this one refuses
    var isConnecting = false
    var clientSpokeLast = false

    init(client: Int32) {
        self.client = client
        toServer = Lane(.toServer, source: client, sink: -1)
        toClient = Lane(.toClient, source: -1, sink: client)
    }

    func lane(_ direction: FaultProxy.Direction) -> Lane { direction == .toServer ? toServer : toClient }

    var isFinished: Bool { toServer.finished && toClient.finished }

    /// Nothing passes any more in either direction.
    func giveUp() {
        toServer.finish()
        toClient.finish()
    }

    /// Begins connecting to the first address that does not refuse at once. False when none is left.
    func connect(to addresses: [SocketAddress]) -> Bool {
        while nextAddress < addresses.count {
            let address = addresses[nextAddress]
            nextAddress += 1
            if server >= 0 { _ = close(server) }
            server = (try? makeSocket(family: address.family)) ?? -1
            guard server >= 0 else { return false }
            toServer.sink = server
            toClient.source = server
            let status = address.withSockaddr { systemConnect(server, $0, $1) }
            if status == 0 || errno == EINPROGRESS || errno == EINTR {
                isConnecting = true
                return true
            }
        }
        return false
    }

    /// The server's socket has become writable, or failed. False when no address is left.
    func finishConnecting(to addresses: [SocketAddress]) -> Bool {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(server, SOL_SOCKET, SO_ERROR, &error, &length)
        guard error == 0 else { return connect(to: addresses) }
        isConnecting = false
        return true
    }

    /// Ends both sockets. What the proxy has already written still arrives, unless the end is a reset.
    func end(_ end: FaultProxy.End) {
        for socket in [client, server] where socket >= 0 {
            switch end {
            case .reset:
                resetWhenClosed(socket)
            case .close:
                // A socket closed over unread bytes sends RST, which may overtake what was written before.
                _ = shutdown(socket, Int32(SHUT_WR))
                var unread = [UInt8](repeating: 0, count: 16 * 1024)
                while recv(socket, &unread, unread.count, 0) > 0 {}
            }
            _ = close(socket)
        }
    }
}

private func systemConnect(_ socket: Int32, _ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> Int32 {
    connect(socket, address, length)
}

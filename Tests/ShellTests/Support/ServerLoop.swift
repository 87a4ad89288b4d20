import Synchronization

/// The server's thread: polls, reads, lets each backend answer, and does what the test orders.
final class ServerLoop {
    private let server: ScriptedServer
    private let sockets: LoopbackSockets
    private var backends: [Int32: Backend] = [:]
    private var lastProcessID: Int32 = 1000

    init(_ server: ScriptedServer, _ sockets: LoopbackSockets) {
        self.server = server
        self.sockets = sockets
    }

    func run() {
        while true {
            let clients = backends.values.map { (descriptor: $0.descriptor, wantsToWrite: $0.isWriting) }
            let stirring = sockets.poll(clients, milliseconds: milliseconds())
            if stirring.contains(sockets.wokenEnd) {
                sockets.drainWakes()
                for order in server.takeOrders() { if !follow(order) { return end() } }
            }
            if stirring.contains(sockets.listening) { acceptAll() }
            for backend in Array(backends.values) where stirring.contains(backend.descriptor) { backend.hear() }
            for backend in Array(backends.values) { backend.goOnIfDue() }
            for backend in Array(backends.values) where backend.isOver { forget(backend) }
        }
    }

    /// False: the server is to stop.
    private func follow(_ order: ScriptedServer.Order) -> Bool {
        switch order {
        case .release: for backend in Array(backends.values) where backend.due == nil { backend.goOn() }
        case .send(let bytes, let thenClose):
            for backend in Array(backends.values) where backend.isLoggedIn { backend.say(bytes, thenClose: thenClose) }
        case .stop: return false
        }
        return true
    }

    private func milliseconds() -> Int32 {
        guard let due = backends.values.compactMap(\.due).min() else { return -1 }
        let (seconds, attoseconds) = (due - .now).components
        return Int32(clamping: max(0, seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1))
    }

    private func acceptAll() {
        while let client = sockets.accept() {
            lastProcessID += 1
            backends[client] = Backend(client, lastProcessID, server) { [unowned self] in cancel($0) }
        }
    }

    /// The signal behind a cancel request: it hits whatever its target runs at this moment.
    private func cancel(_ processID: Int32) {
        backends.values.first { $0.processID == processID && $0.isLoggedIn }?.takeCancel()
    }

    private func forget(_ backend: Backend) {
        backends[backend.descriptor] = nil
        LoopbackSockets.close(backend.descriptor)
        if backend.isLoggedIn { server.state.withLock { $0.open -= 1 } }
    }

    private func end() {
        server.state.withLock { $0.wakeEnd = nil }
        for backend in backends.values { LoopbackSockets.close(backend.descriptor) }
        sockets.close()
    }
}

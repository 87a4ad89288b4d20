#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
import Synchronization

/// The proxy's work: waits on all sockets at once, reads, delays and writes. Belongs to one thread.
final class ProxyRelay {
    private var listener: Listener
    private(set) var hasEnded = false
    private let addresses: [SocketAddress]
    private let counters: ProxyCounters
    private let wakened: Int32
    private var connections: [ProxiedConnection] = []
    private var stalled: Set<FaultProxy.Direction> = []
    private var cuts: [FaultProxy.Direction: Int] = [:]  // bytes after which the first connection is cut
    private var watched: [pollfd] = []  // the wake-up, the listener, then two for each connection in its order
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)

    init(listener: consuming Listener, addresses: [SocketAddress], counters: ProxyCounters, wakened: Int32) {
        self.listener = listener
        self.addresses = addresses
        self.counters = counters
        self.wakened = wakened
    }

    deinit {
        scratch.deallocate()
        _ = close(wakened)
    }

    // MARK: - Commands

    func stall(_ directions: [FaultProxy.Direction]) { stalled.formUnion(directions) }

    func resume(_ directions: [FaultProxy.Direction]) { stalled.subtract(directions) }

    func cut(_ end: FaultProxy.End) {
        acceptAll()
        for connection in connections { connection.end(end) }
        connections = []
        publishOpenConnections()
    }

    func cut(afterBytes count: Int, _ direction: FaultProxy.Direction) {
        cuts[direction] = count
        for connection in connections { connection.lane(direction).countBytesFromHere() }
    }

    /// Those who have connected before are let in first: to them the connection is open already.
    func refuse() {
        acceptAll()
        listener.refuse()
    }

    func accept() { listener.accept() }

    func end() {
        cut(.close)
        listener.refuse()
        hasEnded = true
    }

    // MARK: - Waiting

    /// Waits until a socket can be read or written, a delayed byte is due, or a command has come.
    func waitForSomething() {
        watched.removeAll(keepingCapacity: true)
        watched.append(pollfd(fd: wakened, events: Int16(POLLIN), revents: 0))
        watched.append(pollfd(fd: listener.accepts ? listener.socket : -1, events: Int16(POLLIN), revents: 0))
        var due: Int64?
        for connection in connections {
            watch(connection.client, of: connection, reading: connection.toServer, writing: connection.toClient)
            watch(connection.server, of: connection, reading: connection.toClient, writing: connection.toServer)
            if connection.isConnecting { continue }
            if !isStalled(connection.toServer), let next = connection.toServer.nextDue { due = min(due ?? .max, next) }
            if !isStalled(connection.toClient), let next = connection.toClient.nextDue { due = min(due ?? .max, next) }
        }
        pollPrecisely(&watched, until: due)
        if watched[0].revents != 0 { _ = read(wakened, scratch.baseAddress, scratch.count) }
    }

    private func watch(_ socket: Int32, of connection: ProxiedConnection, reading: Lane, writing: Lane) {
        var events: Int32 = 0
        if connection.isConnecting {
            if socket == connection.server { events = Int32(POLLOUT) }
        } else {
            if reading.wantsToRead, !isStalled(reading) { events |= Int32(POLLIN) }
            if writing.sinkIsFull, !isStalled(writing) { events |= Int32(POLLOUT) }
        }
        // A socket of which nothing is wanted is not looked at: its hang-up would be reported again and again.
        watched.append(pollfd(fd: events == 0 ? -1 : socket, events: Int16(events), revents: 0))
    }

    private func isStalled(_ lane: Lane) -> Bool { stalled.contains(lane.direction) }

    // MARK: - Working

    /// Does what the wait found to do. Follows it at once, so that the connections are still those that were watched.
    func work() {
        let now = monotonicNanoseconds()
        for (index, connection) in connections.enumerated() {
            let client = watched[2 + 2 * index].revents
            let server = watched[3 + 2 * index].revents
            serve(connection, client: Int32(client), server: Int32(server), now: now)
        }
        if connections.contains(where: \.isFinished) {
            connections.removeAll { connection in
                if connection.isFinished { connection.end(.close) }
                return connection.isFinished
            }
        }
        if watched[1].revents != 0 { acceptAll() }
        publishOpenConnections()
    }

    private func serve(_ connection: ProxiedConnection, client: Int32, server: Int32, now: Int64) {
        if connection.isConnecting {
            guard server != 0 else { return }
            if !connection.finishConnecting(to: addresses) { return connection.giveUp() }
            if connection.isConnecting { return }
        }
        if client & (POLLOUT | POLLHUP | POLLERR) != 0 { connection.toClient.sinkIsFull = false }
        if server & (POLLOUT | POLLHUP | POLLERR) != 0 { connection.toServer.sinkIsFull = false }
        if client & (POLLIN | POLLHUP | POLLERR) != 0 { take(connection.toServer, of: connection, now: now) }
        if server & (POLLIN | POLLHUP | POLLERR) != 0 { take(connection.toClient, of: connection, now: now) }
        pass(connection.toServer, of: connection, now: now)
        pass(connection.toClient, of: connection, now: now)
    }

    /// Reads what one side has sent and puts it on its way.
    private func take(_ lane: Lane, of connection: ProxiedConnection, now: Int64) {
        guard lane.wantsToRead, !isStalled(lane) else { return }
        let delay = counters.latencyNanoseconds.load(ordering: .sequentiallyConsistent) / 2
        let piece = lane.take(due: now + delay, scratch: scratch)
        guard lane.direction == .toServer, !piece.isEmpty, !connection.clientSpokeLast else { return }
        let isGoodbye = piece.elementsEqual([UInt8(ascii: "X"), 0, 0, 0, 4])
        guard !isGoodbye else { return }
        connection.clientSpokeLast = true
        counters.flights.add(1, ordering: .sequentiallyConsistent)
    }

    /// Writes what is due, and the source's end after it.
    private func pass(_ lane: Lane, of connection: ProxiedConnection, now: Int64) {
        guard !isStalled(lane) else { return }
        while true {
            let limit = cuts[lane.direction].map { $0 - lane.passed } ?? .max
            if limit <= 0, lane.bytes.nextDue ?? .max <= now { return cutHere(connection, lane.direction) }
            switch lane.pass(now: now, limit: limit) {
            case .bytes(let count):
                // The client has heard the server only now: what it said while this was on its way is one flight.
                if lane.direction == .toClient, count > 0 { connection.clientSpokeLast = false }
                counters.count(bytes: count, lane.direction)
                if count == limit { return cutHere(connection, lane.direction) }
            case .nothing:
                return
            case .broken:
                return lane.finish()
            }
        }
    }

    private func cutHere(_ connection: ProxiedConnection, _ direction: FaultProxy.Direction) {
        cuts[direction] = nil
        connection.giveUp()
    }

    private func acceptAll() {
        while listener.accepts, let client = listener.next() {
            counters.connections.add(1, ordering: .sequentiallyConsistent)
            let connection = ProxiedConnection(client: client)
            if !connection.connect(to: addresses) { connection.giveUp() }
            connections.append(connection)
        }
    }

    private func publishOpenConnections() {
        counters.openConnections.store(connections.count, ordering: .sequentiallyConsistent)
    }
}

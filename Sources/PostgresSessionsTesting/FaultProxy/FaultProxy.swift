import Foundation
import Synchronization

/// A TCP proxy on loopback that stands between a client and a PostgreSQL server and misbehaves on request: it delays,
/// stalls, cuts and refuses, and it counts round trips.
///
/// It runs on a thread of its own and guarantees that bytes arrive in order and unchanged, up to the moment at which a
/// connection is cut. It never looks inside TLS and never alters a byte. Every method may be called from any thread or
/// task, and its effect has begun when it returns.
///
/// ```swift
/// let proxy = try await FaultProxy.start(to: server.url)
/// proxy.latency = .milliseconds(5)
/// let before = proxy.flights
/// …
/// #expect(proxy.flights - before == 2)
/// await proxy.stop()
/// ```
public final class FaultProxy: Sendable {
    public enum Direction: Sendable, Hashable, CaseIterable {
        case toServer, toClient
    }

    /// How a connection ends for both sides.
    public enum End: Sendable, Hashable {
        /// FIN: what a process leaves behind when it dies.
        case close
        /// RST: what a firewall or a rebooted machine answers.
        case reset
    }

    /// Leads through the proxy to the same server, with the same user, password, database and parameters.
    public let url: String
    /// Always 127.0.0.1.
    public let host = "127.0.0.1"
    public let port: Int

    private let counters: ProxyCounters
    private let loop: ProxyLoop

    private init(url: String, port: Int, counters: ProxyCounters, loop: ProxyLoop) {
        self.url = url
        self.port = port
        self.counters = counters
        self.loop = loop
    }

    deinit { loop.end(waiting: false) }

    /// Starts a proxy in front of a server. The server need not be running yet; a connection that it refuses is ended.
    ///
    /// - Parameter url: a libpq URI that names one host, by name, address or socket folder.
    /// - Throws: `TestingError.unsupportedURL`, `.hostNotFound` or `.systemCall`.
    public static func start(to url: String) async throws -> FaultProxy {
        let target = try ProxyTarget(url: url)
        return try await onOwnThread {
            let addresses = try target.addresses()
            let counters = ProxyCounters()
            let loop = try ProxyLoop(addresses: addresses, counters: counters)
            return FaultProxy(url: target.url(port: loop.port), port: Int(loop.port), counters: counters, loop: loop)
        }
    }

    /// Ends every connection and the listening socket. Idempotent.
    public func stop() async {
        loop.end(waiting: true)
    }

    // MARK: - Faults

    /// What is added to each round trip, half of it in each direction; zero at first. Bytes that are already on their
    /// way keep the delay under which they set out.
    public var latency: Duration {
        get { .nanoseconds(counters.latencyNanoseconds.load(ordering: .sequentiallyConsistent)) }
        set { counters.latencyNanoseconds.store(max(0, newValue.nanoseconds), ordering: .sequentiallyConsistent) }
    }

    /// Lets nothing pass any more, not even the end of a connection, until `resume`. Nothing is lost: what the proxy
    /// has taken waits inside it, and what it has not waits in the sender's socket until that is full.
    public func stall() {
        loop.perform { $0.stall(Direction.allCases) }
    }

    /// Lets nothing pass in one direction.
    public func stall(_ direction: Direction) {
        loop.perform { $0.stall([direction]) }
    }

    /// Lets everything pass again, in both directions.
    public func resume() {
        loop.perform { $0.resume(Direction.allCases) }
    }

    /// Lets everything pass again in one direction.
    public func resume(_ direction: Direction) {
        loop.perform { $0.resume([direction]) }
    }

    /// Ends every connection, for both sides at once. What is on its way inside the proxy is lost. New connections are
    /// taken as before.
    public func cut(_ end: End = .close) {
        loop.perform { $0.cut(end) }
    }

    /// Ends the first connection on which `count` more bytes have passed in one direction: the receiver gets exactly
    /// these bytes and then the connection's end, and nothing passes in the other direction any more. Each connection
    /// is counted by itself, from this call on. With 0 the next byte is the first that does not pass. Acts once; a
    /// later call for the same direction takes this one's place.
    public func cut(afterBytes count: Int, _ direction: Direction) {
        precondition(count >= 0, "a connection cannot be cut after \(count) bytes")
        loop.perform { $0.cut(afterBytes: count, direction) }
    }

    /// Refuses connections, as a machine does on which nothing listens. Those that are open stay open.
    public func refuse() {
        loop.perform { $0.refuse() }
    }

    /// Takes connections again, on the same port.
    public func accept() {
        loop.perform { $0.accept() }
    }

    // MARK: - Counts

    /// Flights from clients to the server so far: how often a client began to speak on a connection, be it first or
    /// after the server's bytes had been delivered to it. A client that waits for its answers makes one flight per
    /// round trip, however many packets it takes, connecting and authenticating included. An unencrypted goodbye, for
    /// which nobody waits, does not count.
    public var flights: Int { counters.flights.load(ordering: .sequentiallyConsistent) }

    /// Connections taken so far. A cancel request is a connection too.
    public var connections: Int { counters.connections.load(ordering: .sequentiallyConsistent) }

    /// Connections that are open now.
    public var openConnections: Int { counters.openConnections.load(ordering: .sequentiallyConsistent) }

    /// Bytes passed on to the server so far.
    public var bytesToServer: Int { counters.bytesToServer.load(ordering: .sequentiallyConsistent) }

    /// Bytes passed on to clients so far.
    public var bytesToClient: Int { counters.bytesToClient.load(ordering: .sequentiallyConsistent) }
}

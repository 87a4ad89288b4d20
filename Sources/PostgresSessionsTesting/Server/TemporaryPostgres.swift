internal import PostgresWire
import Foundation
import Synchronization

/// A PostgreSQL server of one's own: a fresh cluster in a temporary folder, on a free port of 127.0.0.1.
///
/// It is made from the PostgreSQL that is installed, never runs as root, and leaves nothing behind: server and folder
/// are gone after `stop()`, after the last reference is dropped, and when the process ends, even by a kill. It trades
/// durability for speed (`fsync` is off): what is committed survives a crash of the server, not of the machine.
///
/// ```swift
/// let server = try await TemporaryPostgres.start(settings: ["max_connections": "20"])
/// let engine = try Engine(url: server.url)
/// …
/// await server.stop()
/// ```
public final class TemporaryPostgres: Sendable {
    /// How a server ends its work, in PostgreSQL's own words.
    public enum ShutdownMode: Sendable, Hashable {
        /// Waits until every client has left.
        case smart
        /// Rolls back open transactions, tells the clients and ends them.
        case fast
        /// Ends at once, as in a crash; the next start recovers.
        case immediate
    }

    /// The address of the database `postgres` for the superuser `postgres`, with the password if one was set, and with
    /// `sslmode=require` if the server has TLS.
    public var url: String { url() }
    /// Always 127.0.0.1.
    public let host = "127.0.0.1"
    /// Stays the same over restarts.
    public let port: Int
    /// The superuser.
    public let user = Cluster.superuser
    /// The cluster's folder, gone after `stop()`.
    public let dataDirectory: String
    /// The server's certificate, for `sslrootcert`; it names 127.0.0.1 and localhost. Nil without TLS.
    public let certificateFile: String?
    /// The process of the server (the postmaster); 0 while it is down.
    public var pid: Int32 { serverPID.load(ordering: .sequentiallyConsistent) }

    private let cluster: Mutex<Cluster>
    private let serverPID: Atomic<Int32>
    private let password: String?

    private init(_ cluster: consuming Cluster, password: String?) {
        port = Int(cluster.port)
        dataDirectory = cluster.data
        certificateFile = cluster.certificateFile
        serverPID = Atomic(cluster.serverPID)
        self.password = password
        self.cluster = Mutex(cluster)
    }

    /// Makes up for a forgotten `stop()`, at the price of blocking for a moment.
    deinit { cluster.withLock { $0.remove() } }

    /// Starts a server and returns when it accepts connections, which takes well under a second from the second server
    /// of a process on. A cancelled task's server is stopped again.
    ///
    /// - Parameters:
    ///   - settings: any of the server's settings, over this library's, as in `["max_connections": "20"]`.
    ///   - ssl: whether to make a certificate (with `openssl`) and offer TLS. Connections without TLS stay possible.
    ///   - password: the superuser's password, to be checked with SCRAM; with nil everybody on this machine is trusted.
    ///   - binaries: the folder of `initdb` and `postgres`; with nil it is searched for.
    /// - Throws: `TestingError`, among them `.postgresNotFound`, which names the packages to install.
    public static func start(
        settings: [String: String] = [:], ssl: Bool = false, password: String? = nil, binaries: String? = nil
    ) async throws -> TemporaryPostgres {
        let server = try await onOwnThread {
            let environment = ProcessInfo.processInfo.environment
            let installation = try PostgresInstallation.find(in: binaries, environment: environment)
            var cluster = try Cluster.make(installation: installation, password: password)
            try cluster.create(ssl: ssl)
            try cluster.start(settings: settings)
            return TemporaryPostgres(cluster, password: password)
        }
        if Task.isCancelled {
            await server.stop()
            throw CancellationError()
        }
        return server
    }

    /// Ends the server at once and removes its folder. Idempotent.
    public func stop() async {
        try? await change { $0.remove() }
    }

    /// Shuts the server down and starts it again, on the same port and with the same data.
    ///
    /// - Parameter timeout: how long to wait for the shutdown; then `TestingError.serverDidNotStop`, and the server
    ///   still shuts down when it can. Smart mode waits for clients, so it needs one.
    public func restart(_ mode: ShutdownMode = .fast, timeout: Duration = .seconds(60)) async throws {
        try await change { cluster in
            try cluster.shutDown(mode, timeout: timeout)
            try cluster.start()
        }
    }

    /// Shuts the server down; its data stay. `startAgain()` brings it back.
    public func shutDown(_ mode: ShutdownMode = .fast, timeout: Duration = .seconds(60)) async throws {
        try await change { try $0.shutDown(mode, timeout: timeout) }
    }

    /// Starts the server after `shutDown`, on the same port. Does nothing if it runs.
    public func startAgain() async throws {
        try await change { try $0.start() }
    }

    /// Stops every process of the server where it stands (SIGSTOP): sockets stay open and nothing answers, as if the
    /// machine hung. The kernel still takes connections, up to the length of the queue.
    public func freeze() async throws {
        try await change { try $0.freeze() }
    }

    /// Lets the processes go on after `freeze()`.
    public func thaw() async throws {
        try await change { try $0.thaw() }
    }

    /// What the server has logged so far.
    public func log() async -> String {
        (try? await onOwnThread { self.cluster.withLock { $0.log() } }) ?? ""
    }

    /// The address for another database or user, or with further parameters of libpq.
    public func url(
        database: String = "postgres", user: String = "postgres", password: String? = nil,
        parameters: KeyValuePairs<String, String> = [:]
    ) -> String {
        let credentials = [user, password ?? self.password].compactMap { $0.map(Self.encoded) }.joined(separator: ":")
        var all = parameters.map { "\($0.key)=\(Self.encoded($0.value))" }
        if certificateFile != nil, !parameters.contains(where: { $0.key == "sslmode" }) {
            all.append("sslmode=require")
        }
        let query = all.isEmpty ? "" : "?" + all.joined(separator: "&")
        return "postgresql://\(credentials)@\(host):\(port)/\(Self.encoded(database))\(query)"
    }

    private func change(_ body: @escaping @Sendable (inout Cluster) throws -> Void) async throws {
        try await onOwnThread {
            try self.cluster.withLock { cluster in
                defer { self.serverPID.store(cluster.serverPID, ordering: .sequentiallyConsistent) }
                try body(&cluster)
            }
        }
    }

    private static func encoded(_ text: String) -> String {
        let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        return text.utf8.map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return unreserved.contains(byte) ? String(UnicodeScalar(byte)) : (byte < 16 ? "%0" : "%") + digits
        }.joined()
    }
}

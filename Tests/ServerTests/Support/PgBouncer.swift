import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Testing

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A PgBouncer in transaction mode, with two connections to its server, on a port of its own.
final class PgBouncer: Sendable {
    let url: String
    private let process: Process
    private let folder: URL

    private init(url: String, process: Process, folder: URL) {
        (self.url, self.process, self.folder) = (url, process, folder)
    }

    /// Starts one, and stops it after the body.
    static func with<R>(_ server: TemporaryPostgres, _ body: (PgBouncer) async throws -> R) async throws -> R {
        let bouncer = try await start(server)
        defer { bouncer.stop() }
        return try await body(bouncer)
    }

    private static func start(_ server: TemporaryPostgres) async throws -> PgBouncer {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pgbouncer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        let port = try freePort()
        let target = try #require(URLComponents(string: server.url))
        let settings = """
            [databases]
            * = host=127.0.0.1 port=\(try #require(target.port)) user=\(target.user ?? "postgres")
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(port)
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = 2
            """
        let file = folder.appendingPathComponent("pgbouncer.ini")
        try Data(settings.utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file.path)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try find())
        process.arguments = ["-q"] + (geteuid() == 0 ? ["-u", "nobody"] : []) + [file.path]
        process.standardError = FileHandle.nullDevice
        try process.run()
        let url = "postgresql://postgres@127.0.0.1:\(port)\(target.path)"
        let bouncer = PgBouncer(url: url, process: process, folder: folder)
        let engine = try Engine(url: url)
        do {
            try await eventually("PgBouncer answers") { await outcome { try await engine.ping() } == .returned }
        } catch {
            bouncer.stop()
            throw error
        }
        await engine.shutdown()
        return bouncer
    }

    private func stop() {
        kill(process.processIdentifier, SIGKILL)  // it inherits that Swift's threads block every other signal
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }

    private static func find() throws -> String {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders =
            path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"]
        return try #require(
            folders.map { $0 + "/pgbouncer" }.first(where: FileManager.default.isExecutableFile),
            "pgbouncer was not found: scripts/test installs it")
    }

    private static func freePort() throws -> UInt16 {
        let socket = socket(AF_INET, streamType, 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) + getsockname(socket, $0, &length)
            }
        }
        try #require(result == 0)
        return UInt16(bigEndian: address.sin_port)
    }
}

#if canImport(Darwin)
    private let streamType = SOCK_STREAM
#else
    private let streamType = Int32(SOCK_STREAM.rawValue)
#endif

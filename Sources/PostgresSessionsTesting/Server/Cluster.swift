#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
import Foundation

/// A cluster's folder and the server that runs on it. All of it blocks: it belongs on a thread of its own.
///
///     init → create → start ⇄ shutDown
///                       └──────┴──→ remove (final)
struct Cluster: ~Copyable {
    static let superuser = "postgres"

    private(set) var port: UInt16 = 0
    private(set) var serverPID: pid_t = 0
    private(set) var certificateFile: String?

    private let installation: PostgresInstallation
    private let user: ServerUser
    private let password: String?
    private let folder: String
    private var watchdog: Watchdog?
    private var settings: [String: String] = [:]
    private var server: ChildProcess?
    private var isFrozen = false

    var data: String { folder + "/data" }
    private var logFile: String { folder + "/log" }

    /// Makes the folder and sets the watchdog on it.
    static func make(installation: PostgresInstallation, password: String?) throws -> Cluster {
        let user = try ServerUser.current()
        let folder = try user.makeFolder()
        let watchdog = try Watchdog(folder: folder, user: user)
        try ChildProcess.run(user.command(["mkdir", folder + "/pids"]), name: "mkdir")
        return Cluster(installation, user, password: password, folder: folder, watchdog: watchdog)
    }

    private init(
        _ installation: PostgresInstallation, _ user: ServerUser, password: String?, folder: String,
        watchdog: consuming Watchdog
    ) {
        self.installation = installation
        self.user = user
        self.password = password
        self.folder = folder
        self.watchdog = consume watchdog
    }

    // MARK: - Making

    mutating func create(ssl: Bool) throws {
        if let password {
            try create(passwordFile: password)
        } else if !(try ClusterTemplate.restore(installation, to: folder, user: user)) {
            try initialize(["--auth=trust"])
            ClusterTemplate.save(installation, from: folder, user: user)
        }
        if ssl { try makeCertificate() }
        forgetProcesses()
    }

    private func create(passwordFile password: String) throws {
        let file = folder + "/password"
        guard FileManager.default.createFile(atPath: file, contents: Data(password.utf8)) else {
            throw TestingError.systemCall("writing a file", errno)
        }
        // Readable for the server's user; the folder itself is closed to everybody else.
        chmod(file, 0o644)
        defer { unlink(file) }
        try initialize(["--auth=scram-sha-256", "--pwfile=\(file)"])
    }

    private func initialize(_ options: [String]) throws {
        try run(
            Watchdog.leashed(
                [
                    installation.initdb, "--pgdata=\(data)", "--username=\(Self.superuser)", "--encoding=UTF8",
                    "--no-locale", "--no-sync",
                ] + options, folder: folder), name: "initdb")
    }

    private mutating func makeCertificate() throws {
        let certificate = data + "/server.crt"
        let key = data + "/server.key"
        try run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate,
            ], name: "openssl")
        chmod(key, 0o600)
        certificateFile = certificate
    }

    private func run(_ arguments: [String], name: String? = nil) throws {
        try ChildProcess.run(user.command(arguments), name: name ?? arguments[0])
    }

    // MARK: - Running

    /// The first start: chooses the port and keeps the settings.
    mutating func start(settings: [String: String]) throws {
        self.settings = settings
        for _ in 0..<20 {
            port = try freePort()
            if try launch() { return }
        }
        throw TestingError.serverDidNotStart(reason: "20 free ports were taken by others in the meantime", log: log())
    }

    /// Starts the server on the port that it had.
    mutating func start() throws {
        guard watchdog != nil else { throw TestingError.serverStopped }
        if let server, !server.hasEnded { return }
        forgetServer()
        // Another process may hold the port for a moment only.
        for _ in 0..<50 {
            if try launch() { return }
            usleep(100_000)
        }
        throw TestingError.serverDidNotStart(reason: "port \(port) has been taken by somebody else", log: log())
    }

    /// Outside the range from which the system takes ports for outgoing connections, so that the port is still free
    /// after a restart.
    private func freePort() throws(TestingError) -> UInt16 {
        for _ in 0..<200 {
            let candidate = UInt16.random(in: 15_000..<32_000)
            let probe = try makeSocket(family: AF_INET)
            defer { _ = close(probe) }
            let isFree = SocketAddress.loopback(port: candidate).withSockaddr { bind(probe, $0, $1) == 0 }
            if isFree { return candidate }
        }
        throw .serverDidNotStart(reason: "no free port between 15000 and 32000", log: "")
    }

    /// Whether the server accepts connections now; false when somebody else has the port.
    private mutating func launch() throws -> Bool {
        let logged = log().utf8.count
        let previous = statusFile()?.pid
        let child = try ChildProcess(
            user.command(Watchdog.leashed([installation.postgres, "-D", data] + options(), folder: folder)),
            output: logFile)
        let deadline = monotonicNanoseconds() + 60_000_000_000
        while true {
            if let status = statusFile(), status.isReady, status.pid != previous {
                serverPID = status.pid
                server = child
                return true
            }
            if child.hasEnded {
                forgetProcesses()
                let said = String(decoding: log().utf8.dropFirst(logged), as: UTF8.self)
                if said.contains("Address already in use") || said.contains("could not bind") { return false }
                throw TestingError.serverDidNotStart(reason: "it ended with status \(child.exitStatus)", log: said)
            }
            guard monotonicNanoseconds() < deadline else {
                kill(child.pid, SIGQUIT)
                throw TestingError.serverDidNotStart(reason: "it was not ready within 60 seconds", log: log())
            }
            usleep(2_000)
        }
    }

    private func options() -> [String] {
        var all = [
            "fsync": "off", "full_page_writes": "off", "max_prepared_transactions": "32",
            // Files of the cluster's folder, which is removed whatever happens, instead of the system's shared memory.
            "dynamic_shared_memory_type": "mmap",
        ]
        if certificateFile != nil { all["ssl"] = "on" }
        all.merge(settings) { _, given in given }
        let fixed = ["listen_addresses": "127.0.0.1", "port": "\(port)", "unix_socket_directories": ""]
        return all.merging(fixed) { _, fixed in fixed }.sorted { $0.key < $1.key }.flatMap {
            ["-c", "\($0.key)=\($0.value)"]
        }
    }

    /// What the server writes into `postmaster.pid`: its process in the first line, its state in the eighth.
    private func statusFile() -> (pid: pid_t, isReady: Bool)? {
        guard let text = try? String(contentsOfFile: data + "/postmaster.pid", encoding: .utf8) else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let pid = lines.first.flatMap({ pid_t($0) }) else { return nil }
        return (pid, lines.count > 7 && lines[7].hasPrefix("ready"))
    }

    func log() -> String {
        FileManager.default.contents(atPath: logFile).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    // MARK: - Ending

    mutating func shutDown(_ mode: TemporaryPostgres.ShutdownMode, timeout: Duration) throws {
        guard watchdog != nil else { throw TestingError.serverStopped }
        guard let child = server else { return }
        try thaw()
        switch mode {
        case .smart: signal(SIGTERM)
        case .fast: signal(SIGINT)
        case .immediate: signal(SIGQUIT)
        }
        let deadline = monotonicNanoseconds().addingReportingOverflow(timeout.nanoseconds)
        let ended = child.waitForEnd(until: deadline.overflow ? .max : deadline.partialValue)
        guard ended else { throw TestingError.serverDidNotStop(waited: timeout) }
        forgetServer()
    }

    /// Ends everything and removes the folder.
    mutating func remove() {
        guard let watchdog = watchdog.take() else { return }
        if let child = server {
            try? thaw()
            signal(SIGQUIT)
            if !child.waitForEnd(until: monotonicNanoseconds() + 10_000_000_000) {
                processes().forEach { kill($0, SIGKILL) }
                child.waitForEnd(until: monotonicNanoseconds() + 5_000_000_000)
            }
            forgetServer()
        }
        watchdog.letGo().waitForEnd(until: monotonicNanoseconds() + 20_000_000_000)
    }

    /// To the postmaster, unless it has died by itself: then its number may be somebody else's.
    private func signal(_ number: Int32) {
        if let server, !server.hasEnded { kill(serverPID, number) }
    }

    private mutating func forgetServer() {
        forgetProcesses()
        server = nil
        serverPID = 0
    }

    /// What has ended is none of the watchdog's business any more: its number may soon be somebody else's.
    private func forgetProcesses() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder + "/pids")) ?? []
        for name in names { unlink("\(folder)/pids/\(name)") }
    }

    // MARK: - Freezing

    mutating func freeze() throws {
        guard server != nil else { throw TestingError.serverStopped }
        // The postmaster first: it starts no process afterwards.
        signal(SIGSTOP)
        processes().forEach { kill($0, SIGSTOP) }
        isFrozen = true
    }

    mutating func thaw() throws {
        guard isFrozen else { return }
        processes().forEach { kill($0, SIGCONT) }
        isFrozen = false
    }

    /// The postmaster and its children.
    private func processes() -> [pid_t] {
        let parents =
            (try? ChildProcess.run(["ps", "-A", "-o", "pid=,ppid="])).map(Self.parents) ?? Self.parentsFromProc()
        return [serverPID] + parents.filter { $0.parent == serverPID }.map(\.pid)
    }

    private static func parents(_ table: String) -> [(pid: pid_t, parent: pid_t)] {
        table.split(separator: "\n").compactMap { line in
            let numbers = line.split(separator: " ").compactMap { pid_t($0) }
            return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
        }
    }

    /// The same where there is no `ps`, from Linux's own files.
    private static func parentsFromProc() -> [(pid: pid_t, parent: pid_t)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { name in
            guard let pid = pid_t(name), let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/stat"),
                let end = bytes.lastIndex(of: UInt8(ascii: ")"))
            else { return nil }
            let fields = String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
            return fields.count > 1 ? pid_t(fields[1]).map { (pid, $0) } : nil
        }
    }
}

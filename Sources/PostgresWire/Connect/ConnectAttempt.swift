internal import CLibPQ
internal import Synchronization

#if canImport(Darwin)
    internal import Darwin
#else
    internal import Glibc
#endif

/// One address to try, in libpq's words.
struct ConnectCandidate: Sendable {
    var parameters: [String: String]
    /// For people: `db.internal:5432 (10.0.0.7)`.
    var target: String
}

/// Connects to one candidate on a helper thread: libpq's connect conversation, with a deadline that libpq's own lacks.
///
/// Reading password, service and certificate files happens here too, which is why this thread may block.
struct ConnectAttempt: ~Copyable {
    private var conn: OpaquePointer?
    private let candidate: ConnectCandidate

    init(_ candidate: ConnectCandidate) { self.candidate = candidate }

    deinit { if let conn { PQfinish(conn) } }

    /// The finished connection, which the caller owns from here on.
    consuming func run(until deadline: Monotonic, isAbandoned: () -> Bool) throws(WireConnectFailure) -> OpaquePointer {
        guard let conn = Self.start(candidate.parameters) else { throw fail(.configuration, "out of memory") }
        self.conn = conn
        PQsetErrorVerbosity(conn, PQERRORS_VERBOSE)  // the only way to learn a SQLSTATE before the connection stands
        PQsetNoticeProcessor(conn, { _, _ in }, nil)
        guard PQstatus(conn) != CONNECTION_BAD else { throw failure(of: conn) }

        var step = PGRES_POLLING_WRITING
        while true {
            let phase = Self.phase(PQstatus(conn))
            switch try waitForSocket(conn, step, until: deadline, isAbandoned: isAbandoned) {
            case .ready: break
            case .abandoned: throw fail(.cancelled, "nobody waits for it any more")
            case .late: throw fail(.timedOut, "no answer in time while \(phase)")
            }
            step = PQconnectPoll(conn)
            if step == PGRES_POLLING_OK { break }
            if step == PGRES_POLLING_FAILED { throw failure(of: conn) }
        }
        PQsetErrorVerbosity(conn, PQERRORS_DEFAULT)
        guard PQserverVersion(conn) >= 90600, PQsetnonblocking(conn, 1) == 0, PQenterPipelineMode(conn) == 1 else {
            throw fail(.server, "cannot enter pipeline mode: \(String(cString: PQerrorMessage(conn)))")
        }
        self.conn = nil
        return conn
    }

    private static func start(_ parameters: [String: String]) -> OpaquePointer? {
        let pairs = parameters.sorted { $0.key < $1.key }
        let keywords = pairs.map { strdup($0.key) } + [nil]
        let values = pairs.map { strdup($0.value) } + [nil]
        defer { for copy in keywords + values { free(copy) } }
        return keywords.map { UnsafePointer($0) }.withUnsafeBufferPointer { keywords in
            values.map { UnsafePointer($0) }.withUnsafeBufferPointer { values in
                PQconnectStartParams(keywords.baseAddress, values.baseAddress, 0)
            }
        }
    }

    private enum Waited { case ready, late, abandoned }

    /// The descriptor is asked for each time: libpq may change it between two polls.
    private func waitForSocket(
        _ conn: OpaquePointer, _ step: PostgresPollingStatusType, until deadline: Monotonic, isAbandoned: () -> Bool
    ) throws(WireConnectFailure) -> Waited {
        while true {
            if isAbandoned() { return .abandoned }
            let left = (deadline.nanoseconds - Monotonic.now.nanoseconds + 999_999) / 1_000_000
            var entry = pollfd(
                fd: PQsocket(conn), events: Int16(step == PGRES_POLLING_READING ? POLLIN : POLLOUT), revents: 0)
            guard entry.fd >= 0 else { throw failure(of: conn) }
            // Also when the time is over: where this thread did not get to run, the answer may have been there for long.
            if poll(&entry, 1, Int32(max(0, min(left, 100)))) > 0 { return .ready }
            if left <= 0 { return .late }
        }
    }

    private static func phase(_ status: ConnStatusType) -> String {
        switch status {
        case CONNECTION_STARTED: "waiting for the TCP connection"
        case CONNECTION_SSL_STARTUP: "negotiating TLS"
        case CONNECTION_GSS_STARTUP: "negotiating GSS encryption"
        case CONNECTION_AWAITING_RESPONSE: "waiting for the server's answer to the startup packet"
        case CONNECTION_AUTH_OK: "waiting for the server to start the session"
        default: "negotiating the session"
        }
    }

    private func fail(_ reason: WireConnectFailure.Reason, _ message: String) -> WireConnectFailure {
        WireConnectFailure(reason: reason, target: candidate.target, message: message)
    }

    private func failure(of conn: OpaquePointer) -> WireConnectFailure {
        WireConnectFailure(libpqMessage: String(cString: PQerrorMessage(conn)), target: candidate.target)
    }
}

extension WireConnectFailure {
    /// Reads libpq's verbose text: `… FATAL:  28P01: password authentication failed for user "app" LOCATION: …`, whose words are
    /// in the server's language, the severity too.
    init(libpqMessage text: String, target: String) {
        let lines = text.split { $0.isNewline || $0 == "\t" }.map(String.init)
        let useful = lines.filter { !$0.hasPrefix("LOCATION:") }
        let message = useful.joined(separator: " ")
        let sqlState = Self.sqlState(in: message)
        self.init(reason: Self.reason(message, sqlState), target: target, message: message, sqlState: sqlState)
    }

    private static func sqlState(in message: String) -> String? {
        let bytes = message.utf8
        var rest = bytes[...]
        while let colon = rest.firstIndex(of: UInt8(ascii: ":")) {
            rest = bytes[bytes.index(after: colon)...]
            let word = rest.prefix(8)
            guard word.starts(with: "  ".utf8), word.last == UInt8(ascii: ":") else { continue }
            let code = word.dropFirst(2).dropLast()
            if code.count == 5 && code.allSatisfy({ (48...57).contains($0) || (65...90).contains($0) }) {
                return String(code)
            }
        }
        return nil
    }

    private static func reason(_ message: String, _ sqlState: String?) -> Reason {
        if let sqlState {
            let isAuthentication = sqlState.hasPrefix("28") || sqlState == "3D000" || sqlState == "42501"
            return isAuthentication ? .authentication : .server
        }
        let known: [(String, Reason)] = [
            ("could not translate host name", .nameResolution), ("Connection refused", .refused),
            ("No such file or directory", .refused), ("no password supplied", .authentication),
            ("session is read-only", .wrongRole), ("session is not read-only", .wrongRole),
            ("server is in hot standby", .wrongRole), ("server is not in hot standby", .wrongRole),
            ("certificate", .tls), ("SSL", .tls), ("timeout expired", .timedOut), ("Connection timed out", .timedOut),
        ]
        return known.first { message.utf8Range(of: $0.0) != nil }?.1 ?? .lost
    }
}

extension String {
    /// The first place of `needle`, by bytes; no Foundation here.
    fileprivate func utf8Range(of needle: String) -> Range<String.Index>? {
        let pattern = Array(needle.utf8)
        var start = utf8.startIndex
        while let end = utf8.index(start, offsetBy: pattern.count, limitedBy: utf8.endIndex) {
            if utf8[start..<end].elementsEqual(pattern) { return start..<end }
            start = utf8.index(after: start)
        }
        return nil
    }
}

internal import PostgresWire

/// The rows of a statement through a server-side cursor: constant memory, back-pressure by not asking, and an early end
/// that costs the transaction nothing. While rows of one chunk are read, the next chunk is under way.
///
/// It holds the session's claim until its end: the session used inside its own stream is refused. What is asked for in advance
/// is said in a savepoint: an early end does not wait for it where it is slow, nor fail with it.
final class SessionCursor: RowCursor, @unchecked Sendable {
    // Proof: used by the one task that iterates; `end` comes after the last `next`. Of the session nothing is touched but between
    // `resume` and `pause`.
    private let core: SessionCore
    private let closesSession: Bool
    /// The claim's number.
    private var hold = 0
    private var fetched: WireResult?
    private var isOpen = true
    private var isExhausted = false
    private var chunk = 128
    private let text: [UInt8]

    /// One name suffices: a session has one stream at a time, and closes it before the next.
    private static let declaration = "DECLARE session_stream NO SCROLL CURSOR FOR "
    private static let close: SQLQuery = "CLOSE session_stream"
    private static let savepoint: SQLQuery = "SAVEPOINT session_stream"
    private static let release: SQLQuery = "RELEASE SAVEPOINT session_stream"
    private static let remedy: [SQLQuery] = ["ROLLBACK TO SAVEPOINT session_stream", release]
    /// The chunk's size in memory that is aimed at.
    private static let chunkBytes = 1 << 20
    /// Where a chunk took longer than this, the next is not asked for in advance: an early end would have to cancel it.
    private static let prefetchLimit = Duration.milliseconds(50)
    /// How soon the server must answer the savepoint ahead of what is asked for in advance.
    private static let livenessTimeout = Duration.seconds(5)

    private init(_ core: SessionCore, _ text: [UInt8], closesSession: Bool) {
        self.core = core
        self.text = text
        self.closesSession = closesSession
    }

    static func open(
        _ query: SQLQuery, on core: SessionCore, in scope: Int?, closesSession: Bool = false
    ) async throws -> any RowCursor {
        try query.validated()
        guard query.canBeACursor else { return WholeResult(try await core.run(query, in: scope)) }
        try core.claim(scope)
        let declare: SQLQuery = "\(unsafeRaw: declaration)\(query)"
        let cursor = SessionCursor(core, declare.utf8, closesSession: closesSession)
        do {
            var flight = Flight(statement: declare, further: [cursor.fetch], isUnnamed: true, cursor: cursor.text)
            let outcome = try await core.say(&flight, thenCommit: false)
            cursor.fetched = outcome.further.first
            cursor.hold = core.hands.hold()
            return cursor
        } catch {
            cursor.isOpen = false
            core.unclaim()
            throw error
        }
    }

    private var fetch: SQLQuery { "FETCH FORWARD \(unsafeRaw: String(chunk)) FROM session_stream" }

    func next() async throws -> WireResult? {
        guard isOpen else { return nil }
        guard core.hands.resume(hold) else {
            isOpen = false
            throw EngineError.sessionClosed
        }
        defer { if isOpen { core.hands.pause(hold) } }
        guard !isExhausted else { return try await complete() }
        let began = Monotonic.now
        if fetched == nil { fetched = try await land() }
        guard let result = fetched.take() else { return nil }
        if result.rowCount < chunk {
            isExhausted = true
        } else {
            let isSlow = began.duration(to: .now) >= Self.prefetchLimit
            let rowBytes = max(1, result.memorySize / max(1, result.rowCount))
            // Rows that come slowly are not kept from their reader until there are more of them.
            chunk = min(max(Self.chunkBytes / rowBytes, 1), isSlow ? chunk : 4 * chunk, 8192)
            if !isSlow { try await askInAdvance() }
        }
        return result.rowCount > 0 ? result : try await complete()
    }

    private func askInAdvance() async throws {
        let flight = Flight(
            leading: [Self.savepoint], statement: fetch, further: [Self.release], limits: core.statementLimits,
            isOwn: true, isUnnamed: true, cursor: text, livenessTimeout: Self.livenessTimeout)
        try await attempt { connection throws(WireError) in
            try await connection.launch(flight, remedy: Self.remedy)
        }
    }

    /// There are no more rows: what the query did besides is committed before its reader goes on.
    private func complete() async throws -> WireResult? {
        guard closesSession else { return nil }
        isOpen = false
        // COMMIT closes it; where the stream's transaction is a savepoint, RELEASE would not.
        if !core.frame.isWhole { core.riders.append(.init(command: Self.close)) }
        core.unclaim()
        defer { core.joined?.core.endStream(core.holdOnConnection) }
        do {
            if case .active = core.transaction { try await core.commit(in: nil) }
        } catch {
            await core.close()
            throw error
        }
        await core.close()
        return nil
    }

    /// The chunk that is under way, or one that is asked for now.
    private func land() async throws -> WireResult? {
        try Task.checkCancellation()
        try core.lease?.connection.checkNotShutDown()
        let flight = Flight(statement: fetch, limits: core.statementLimits, isOwn: true, isUnnamed: true, cursor: text)
        var outcome = try await attempt { connection throws(WireError) in
            if let outcome = try await connection.land() { return outcome }
            return try await connection.fly(flight)
        }
        try core.conclude(&outcome, of: flight, opening: 0)
        return outcome.result
    }

    private func attempt<R>(
        _ body: (PhysicalConnection) async throws(WireError) -> sending R
    ) async throws -> sending R {
        guard let lease = core.lease else { throw EngineError.connectionLost("the stream's transaction has ended") }
        do throws(WireError) {
            return try await body(lease.connection)
        } catch {
            core.giveBackBroken()
            throw core.fail(error, of: Flight(statement: fetch))
        }
    }

    func end() {
        guard isOpen else { return }
        isOpen = false
        guard core.hands.resume(hold) else { return }
        if case .active = core.transaction { core.riders.append(.init(command: Self.close, savepoint: nil)) }
        core.unclaim()
        if closesSession { core.closeInBackground() }
    }

    deinit { end() }
}

/// A statement that cannot be a cursor (INSERT … RETURNING): all rows at once.
final class WholeResult: RowCursor, @unchecked Sendable {
    // Proof: used by the one task that iterates.
    private var result: WireResult?
    init(_ result: WireResult) { self.result = result }
    func next() async throws -> WireResult? { result.take() }
    func end() { result = nil }
}

extension SQLQuery {
    /// Whether DECLARE CURSOR takes it: a query that changes nothing. What changes something begins with another word, or with WITH.
    var canBeACursor: Bool {
        let text = text.lowercased()
        var words = LeadingWords(text)
        let first = words.next()
        guard first == "with" else { return ["select", "values", "table"].contains(first) }
        return !text.split { !($0.isLetter || $0 == "_") }.contains {
            ["insert", "update", "delete", "merge"].contains($0)
        }
    }
}

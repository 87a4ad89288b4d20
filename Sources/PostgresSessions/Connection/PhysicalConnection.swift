internal import PostgresWire

/// One `PGconn` with what is known of its session: the statements it has prepared.
///
/// Reused for hours by one borrower after another. It sends flights and reads their answers; it knows nothing of
/// transactions.
final class PhysicalConnection: @unchecked Sendable {
    // Proof: used only by the holder of its lease; the pool's lock orders one holder after another. So there is nobody to
    // check exclusive access against, and what each statement touches is not checked.
    let wire: WireConnection
    @exclusivity(unchecked) var cache: StatementCache
    /// What the engine's connections have found to be out of date, and how much of it this one knows.
    let staleTexts: StaleTexts
    @exclusivity(unchecked) var knownStaleTexts = 0
    /// A stream's flight whose answers have not been read.
    @exclusivity(unchecked) var underWay: Flight?
    /// What undoes that flight alone, where it failed.
    @exclusivity(unchecked) var remedy: [SQLQuery] = []
    /// The statements of the flight under way, in order; kept for its memory.
    @exclusivity(unchecked) private var plan: [Planned] = []
    /// For each statement that is prepared in the flight, where in the plan it is used first.
    @exclusivity(unchecked) private var preparing: [Int] = []
    @exclusivity(unchecked) var reader = ReplyReader(skipping: 0)
    /// The statements that are dropped ahead of the flight under way.
    @exclusivity(unchecked) private var dropping: [String] = []

    /// Statements whose columns have a type without a binary form: their results come as text.
    @exclusivity(unchecked) private var textStatements: Set<[UInt8]> = []
    /// Beyond so many they are found out again.
    private static let mostTextStatements = 256

    /// What borrowers may have left in the session since it was last clean.
    @exclusivity(unchecked) var leftovers: SessionState = []
    /// What the connect hooks have made, which every borrower counts on.
    @exclusivity(unchecked) var madeByHooks: SessionState = []
    /// A COPY is under way; whatever is said next ends it first.
    @exclusivity(unchecked) var isCopying = false
    /// A savepoint was made for the COPY, so that ending it early leaves the transaction usable.
    @exclusivity(unchecked) var copySavepoint = false
    /// A command of the last flight was completed: what came after it may have been executed too.
    @exclusivity(unchecked) private(set) var hasCompletedAny = false
    /// It was idle for long, and then gave no sign of life.
    @exclusivity(unchecked) private(set) var hasFallenSilent = false
    /// Of the lease that was granted to a task that waits, until it takes that up.
    @exclusivity(unchecked) var loan: Loan?
    /// For the report of a leak, which another thread makes; nil where nobody wants one.
    let lastStatement: LastStatement?

    private struct Planned {
        var entry: StatementCache.Entry?
        /// Where there is no entry to know it.
        var text: [UInt8] = []
    }

    /// A feed's statements leave, and their answers are looked for, after so many or so long; each sixteenth looks at the clock.
    private static let saidAtOnce = 512
    private static let heldBack = Duration.milliseconds(1)

    /// What the server's own types are.
    let types: TypeCatalog
    /// A result of the flight under way has columns of such.
    @exclusivity(unchecked) var hasForeignTypes = false

    init(
        _ wire: WireConnection, statementCacheSize: Int, _ staleTexts: StaleTexts, _ types: TypeCatalog,
        remembersStatement: Bool = false
    ) {
        (self.wire, self.staleTexts, self.types) = (wire, staleTexts, types)
        lastStatement = remembersStatement ? LastStatement() : nil
        cache = StatementCache(capacity: statementCacheSize)
    }

    /// Sends the flight and reads all its answers. A thrown error means that the connection is gone.
    ///
    /// Where its limits allow, the task's cancellation cancels the statement on the server; the connection stays usable.
    func fly(_ flight: Flight) async throws(WireError) -> FlightOutcome {
        if underWay != nil || isCopying { try await landLeftover() }
        if knownStaleTexts != staleTexts.count { forgetStaleTexts() }
        wire.beginFlight()
        hasCompletedAny = false
        hasForeignTypes = false
        clearPlan()
        flight.feed?.begin()
        reader = ReplyReader(skipping: try queueDiscarded())
        if flight.livenessTimeout != nil { return try await flyFromDoubt(flight) }
        return try await sendAndRead(flight)
    }

    /// On a connection that was idle for long. Where the library says nothing of its own first, whose answer the server can be
    /// asked for early, a sync ahead is what a living server answers at once.
    @inline(never)
    private func flyFromDoubt(_ flight: Flight) async throws(WireError) -> FlightOutcome {
        if flight.leading.isEmpty, reader.skipping == 0 {
            try wire.queueProofOfLife()
            reader.skipping = 1
        }
        do throws(WireError) {
            return try await sendAndRead(flight)
        } catch .timedOut where !reader.hasAny && wire.whyInterrupted() == nil {
            hasFallenSilent = true
            let doubt = flight.leading.isEmpty ? "; what was sent may have been executed, or may still be" : ""
            throw .lost("no sign of life from \(wire.target) within \(flight.livenessTimeout ?? .zero)\(doubt)", nil)
        }
    }

    @inline(__always)
    private func sendAndRead(_ flight: Flight) async throws(WireError) -> FlightOutcome {
        reader.refusal = try queue(flight)
        // What is answered at once needs no ear for the task's cancellation, which is not for free.
        let waitsBriefly = WireConnection.isOnLoop && flight.feed == nil
        if waitsBriefly { try await wire.depart(limitsOfFirstReply(to: flight, flight.limits)) }
        let isOver = waitsBriefly ? try takeReplies(to: flight) : false
        if !isOver { try await readRest(of: flight, departing: !waitsBriefly) }
        if wire.isCancelling { try await wire.endFlight() }
        if !wire.isInUTF8 { throw changedEncoding() }
        guard hasForeignTypes else { return takeOutcome() }
        let outcome = takeOutcome()
        try await learnTypes(of: outcome, flight)
        return outcome
    }

    /// The library has asked something of its own behind the flight.
    func noteCompletion() { hasCompletedAny = true }

    /// All answers have been read.
    func takeOutcome() -> FlightOutcome {
        var outcome = FlightOutcome()
        swap(&outcome, &reader.outcome)
        outcome.interruption = wire.whyInterrupted()
        if let refusal = reader.refusal { outcome.fail(refusal, []) }
        return outcome
    }

    /// Sends what has not been sent, and takes the answers that have not come. Where the flight's limits allow, the task's
    /// cancellation cancels the statement. A batch is taken from the user's sequence here, and rows are decoded as they come, so it
    /// stays in the caller's isolation, which the standard library's closure leaves unless it captures it.
    func readRest(
        of flight: Flight, departing: Bool, isolation: isolated (any Actor)? = #isolation
    ) async throws(WireError) {
        guard flight.limits.isInterruptible || flight.limits.endsAfterInterrupt else {
            return try await readToEnd(of: flight, departing: departing)
        }
        var failure: WireError?
        await withTaskCancellationHandler {
            _ = isolation
            do throws(WireError) {
                try await readToEnd(of: flight, departing: departing)
            } catch {
                failure = error
            }
        } onCancel: {
            wire.interrupt()
        }
        if let failure { throw failure }
    }

    // MARK: A flight

    func readToEnd(of flight: Flight, departing: Bool) async throws(WireError) {
        var limits = flight.limits
        if departing, let feed = flight.feed, reader.refusal == nil { try await say(feed, of: flight) }
        if departing || !flight.further.isEmpty { limits.restart(for: reader.unanswered(of: flight)) }
        if departing { try await wire.depart(limitsOfFirstReply(to: flight, limits)) }
        if wire.mustFlush { try await wire.flush(limits) }
        if !reader.hasAny { limits = limitsOfFirstReply(to: flight, limits) }
        var answered = reader.index
        var turn = Monotonic.now
        while try !takeReplies(to: flight) {
            if reader.hasAny { limits.hard = flight.limits.hard }
            if reader.index > answered {
                answered = reader.index
                limits.restart(for: reader.unanswered(of: flight))
            }
            try await wire.waitForInput(limits)
            await Self.endTurnIfLong(&turn)
        }
    }

    /// Where the server is always faster than its reader, the others on its thread are let in now and then.
    @inline(__always)
    static func endTurnIfLong(_ turn: inout Monotonic) async {
        guard turn.duration(to: .now) > .milliseconds(10) else { return }
        await Task.yield()
        turn = .now
    }

    /// Takes what has arrived. True: that was all, the sync's included.
    func takeReplies(to flight: Flight) throws(WireError) -> Bool {
        while wire.isOwedReplies, let reply = try wire.takeReply(isLent: reader.isLent(of: flight)) {
            reader.hasAny = true
            if try accept(reply, of: flight) { return true }
        }
        return false
    }

    /// Statements that the cache no longer wants are dropped ahead of the flight, in a segment of their own, whose failure is
    /// nobody's. Inside a transaction they must wait. Returns how many replies are due, the sync included.
    private func queueDiscarded() throws(WireError) -> Int {
        guard cache.hasDiscarded, wire.transactionStatus == .idle else { return 0 }
        dropping = cache.takeDiscarded()
        for name in dropping { try wire.queueExecute(text: "DEALLOCATE \(name)", WireParameters()) }
        try wire.queueSync()
        return dropping.count + 1
    }

    /// Says what a feed has. Answers are taken as they come, so that neither side is ever full of them.
    private func say(_ feed: StatementFeed, of flight: Flight) async throws(WireError) {
        var turn = Monotonic.now
        var looked = turn
        while reader.outcome.failure == nil, !wire.isCancelling, let statement = feed.next() {
            reader.refusal = try queued { () throws(WireError) in try queue(statement, of: flight, isLater: true) }
            guard reader.refusal == nil else { return }
            reader.outcome.fed += 1
            guard reader.outcome.fed.isMultiple(of: 16) else { continue }
            let now = Monotonic.now
            guard reader.outcome.fed.isMultiple(of: Self.saidAtOnce) || looked.duration(to: now) > Self.heldBack
            else { continue }
            looked = now
            try wire.look(flight.limits.withoutServer)
            _ = try takeReplies(to: flight)
            await Self.endTurnIfLong(&turn)
        }
        reader.refusal = try queued { () throws(WireError) in try queueEnd(of: flight) }
    }

    /// Queues every command, but for those behind a feed.
    func queue(_ flight: Flight) throws(WireError) -> WireServerError? {
        try queued { () throws(WireError) in
            for command in flight.leading { try queue(command, of: flight, isOwn: true) }
            if flight.onlyDescribes {
                try queueDescription(of: flight.statement)
            } else {
                try queue(flight.statement, of: flight, isOwn: flight.isOwn)
            }
            if let rows = flight.rows {
                let entry = plan.last?.entry
                let comeSingly = entry?.mayHaveManyRows ?? false
                rows.begin(expecting: comeSingly ? entry?.rowCount ?? 0 : 0, knowing: types)
                if comeSingly { wire.expectRows(into: rows) }
            }
            if flight.feed == nil { try queueEnd(of: flight) }
        }
    }

    /// Few at a time, mostly; `removeAll` costs more than they do.
    func clearPlan() {
        while plan.popLast() != nil {}
        while preparing.popLast() != nil {}
    }

    private func queueEnd(of flight: Flight) throws(WireError) {
        // A stream's first FETCH tells nobody more than its DECLARE.
        for one in flight.further { try queue(one, of: flight, isOwn: flight.isOwn || flight.isUnnamed, isLater: true) }
        if let trailing = flight.trailing { try queue(trailing, of: flight, isOwn: true, isLater: true) }
    }

    /// What libpq itself refuses (it cannot be said in the protocol) comes back as a refusal.
    @inline(__always)
    private func queued(_ queue: () throws(WireError) -> Void) throws(WireError) -> WireServerError? {
        do throws(WireError) {
            try queue()
            return nil
        } catch .refused(let message) {
            return WireServerError(severity: "ERROR", message: message)
        }
    }

    private func queueDescription(of query: SQLQuery) throws(WireError) {
        try wire.queuePrepare(name: "", text: query.text, query.parameters)
        preparing.append(plan.count)
        plan.append(Planned(text: query.utf8))
        try wire.queueDescribe()
    }

    /// Behind a DEALLOCATE of its flight nothing that was prepared is there, and another one is not known by its answer.
    private func queue(
        _ query: SQLQuery, of flight: Flight, isOwn: Bool = false, isLater: Bool = false
    ) throws(WireError) {
        let isUnnamed = flight.isUnnamed || isLater && leftovers.contains(.preparedStatements)
        let isBinary = textStatements.isEmpty || !textStatements.contains(flight.cursor ?? query.utf8)
        try queue(query, isOwn: isOwn, isUnnamed: isUnnamed, isBinary: isBinary)
        if plan.count == 1 && flight.livenessTimeout != nil && !flight.leading.isEmpty { try wire.queueFlushRequest() }
    }

    private func queue(_ command: SQLQuery, isOwn: Bool, isUnnamed: Bool, isBinary: Bool) throws(WireError) {
        if !isOwn, let lastStatement { lastStatement.note(command.utf8) }
        guard !isUnnamed, cache.keeps(command.utf8) else {
            let text = command.text
            if !isOwn, try note(cache.traits(of: text)).contains(.preparedStatements) { cache.forgetAll() }
            try wire.queueExecute(text: text, command.parameters, isBinary: isBinary)
            plan.append(Planned(text: command.utf8))
            return
        }
        let entry = cache.entry(for: command.utf8, command.parameters)
        if !isOwn { try note(entry.traits) }
        if entry.state == .unknown {
            try wire.queuePrepare(name: entry.name, text: command.text, command.parameters)
            entry.state = .queued
            preparing.append(plan.count)
        }
        plan.append(Planned(entry: entry))
        try wire.queueExecute(prepared: entry.name, command.parameters, isBinary: isBinary)
    }

    // MARK: Its answers

    /// Takes one reply. True: it was the flight's last.
    private func accept(_ reply: consuming Reply, of flight: Flight) throws(WireError) -> Bool {
        if reader.skipping > 0 {
            reader.skipping -= 1
            // Last comes the sync's.
            if reader.skipping > 0 { noteDropped(dropping[dropping.count - reader.skipping], reply) }
            return false
        }
        guard reader.index < plan.count else {
            guard case .sync = reply else { throw surprise("no end of the flight") }
            return true
        }
        if reader.prepared < preparing.count, preparing[reader.prepared] == reader.index {
            reader.prepared += 1
            return try acceptPrepared(reply)
        }
        let planned = plan[reader.index]
        let entry = planned.entry
        switch reply {
        case .complete(let result):
            if let entry {
                describe(result, entry)
                if let rows = flight.rows { entry.rowCount = max(rows.count, result.rowCount) }
                // DEALLOCATE ALL, DISCARD: what was prepared is gone, this statement included.
                if entry.traits.leaves.contains(.preparedStatements) { cache.forgetAll() }
                if entry.traits.altersTables {
                    cache.renewAll()
                    types.doubtComposites()
                }
            } else {
                describe(result)
            }
            hasCompletedAny = true
            if reader.outcome.take(result, at: reader.index, of: flight) {
                reader.outcome.noteEnd(result, of: entry?.text ?? planned.text)
            }
            reader.outcome.completed += 1
        case .refused(let error):
            let text = entry?.text ?? planned.text
            let isOutlived = entry.map { noteFailure(error, of: $0, isFresh: isFresh($0)) } ?? false
            reader.outcome.fail(error, text, isStale: isOutlived || error.isStaleStatement)
            if error.lacksBinaryForm && (!flight.isUnnamed || flight.cursor != nil) {
                if textStatements.count >= Self.mostTextStatements { textStatements = [] }
                textStatements.insert(flight.cursor ?? text)
                entry?.columns = nil
            }
        case .skipped: break
        case .partial: throw surprise("a row that nobody asked to stream")
        case .sync: throw surprise("an early end of the flight")
        case .unexpected(let what): throw surprise("\(what): COPY goes through copyIn and copyOut")
        }
        reader.index += 1
        return false
    }

    private func acceptPrepared(_ reply: Reply) throws(WireError) -> Bool {
        let (entry, text) = (plan[reader.index].entry, plan[reader.index].text)
        switch reply {
        case .complete: if let entry { cache.notePrepared(entry) }
        case .refused(let error):
            reader.outcome.fail(error, entry?.text ?? text, isStale: error.isStaleStatement)
            guard let entry else { break }
            noteFailure(error, of: entry, isFresh: true)
            cache.forget(entry)
        case .skipped: if let entry { cache.forget(entry) }
        default: throw surprise("another answer than to a Parse")
        }
        return false
    }

    /// Whether it is prepared in the flight under way.
    private func isFresh(_ entry: StatementCache.Entry) -> Bool { preparing.contains { plan[$0].entry === entry } }

    /// The columns of a prepared statement never change, so they are read once.
    private func describe(_ result: WireResult, _ entry: StatementCache.Entry) {
        if entry.columns == nil {
            guard result.columnCount > 0 else { return }
            entry.columns = RowColumns(of: result, knowing: types)
        }
        guard let columns = entry.columns else { return }
        result.attach(columns)
        if columns.isForeign { hasForeignTypes = true }
    }

    /// Of an unnamed statement, only what decoding could not find out by itself.
    private func describe(_ result: WireResult) {
        for column in 0..<result.columnCount {
            let type = SQLType(rawValue: result.columnOID(column))
            guard type.isOfDatabase || type.namesItsParts else { continue }
            hasForeignTypes = true
            return result.attach(RowColumns(of: result, knowing: types))
        }
    }
}

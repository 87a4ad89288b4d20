internal import CLibPQ

/// The server's answer to one queued command, or the mark at a flight's end.
package enum Reply: Sendable {
    /// The command is complete, with its rows if it has any.
    case complete(WireResult)
    /// Some rows of a streamed command; more replies follow for it.
    case partial(WireResult)
    /// The server refuses the command; those after it, up to the sync, are skipped.
    case refused(WireServerError)
    case skipped
    case sync
    /// A COPY or another conversation that a pipeline cannot have.
    case unexpected(String)
}

/// Takes the rows of one command, some at a time.
package protocol RowSink: AnyObject, Sendable {
    /// The result is lent: it is gone after the call.
    func take(_ rows: WireResult)
    /// As above, for rows that came after the statement was cancelled.
    func drop(_ rows: WireResult)
    /// How many rows have been taken.
    var count: Int { get }
}

extension WireConnection {
    // MARK: Queueing. Nothing leaves before `send`.

    package func queuePrepare(name: String, text: String, _ parameters: WireParameters) throws(WireError) {
        let sent = arrays.withFilled(parameters) { arrays in
            PQsendPrepare(conn, name, text, Int32(parameters.count), arrays.types)
        }
        noteQueued(text.utf8.count)
        try queued(sent)
    }

    package func queueExecute(prepared name: String, _ parameters: WireParameters, isBinary: Bool = true)
        throws(WireError)
    {
        let sent = arrays.withFilled(parameters) { arrays in
            name.withCString { name in
                PQsendQueryPrepared(
                    conn, name, Int32(parameters.count), arrays.values, arrays.lengths, arrays.formats,
                    isBinary ? 1 : 0)
            }
        }
        try queued(sent, parameters)
    }

    package func queueExecute(text: String, _ parameters: WireParameters, isBinary: Bool = true) throws(WireError) {
        let sent = arrays.withFilled(parameters) { arrays in
            PQsendQueryParams(
                conn, text, Int32(parameters.count), arrays.types, arrays.values, arrays.lengths, arrays.formats,
                isBinary ? 1 : 0)
        }
        try queued(sent, parameters, text: text)
    }

    /// The statement that was prepared last without a name: the answer has its columns, in text's form, and no rows.
    package func queueDescribe() throws(WireError) { try queued(PQsendDescribePrepared(conn, "")) }

    /// The rows of the command that was queued last go to `sink` as they come, instead of into its result. For one command
    /// of a flight.
    package func expectRows(into sink: any RowSink) {
        rowSink = sink
        answersBeforeRows = outstanding - 1
    }

    /// The server answers what it has so far without waiting for the sync: how a dead peer is found early.
    package func queueFlushRequest() throws(WireError) {
        guard PQsendFlushRequest(conn) == 1 else { throw refusal() }
    }

    /// Ends a segment: after an error, the server skips up to here; outside a transaction, it commits here.
    package func queueSync() throws(WireError) { try queued(cpq_pipeline_sync(conn)) }

    /// A segment of its own ahead of everything, which the server answers before it looks at what follows. It leaves with the flight.
    package func queueProofOfLife() throws(WireError) {
        isCorked = true
        cpq_cork(descriptor, 1)
        try queueSync()
    }

    private func queued(_ sent: Int32) throws(WireError) {
        guard sent == 1 else { throw refusal() }
        outstanding += 1
    }

    @inline(__always)
    private func queued(_ sent: Int32, _ parameters: WireParameters, text: String = "") throws(WireError) {
        noteQueued(parameters.bytes.count + text.utf8.count)
        try queued(sent)
    }

    func noteQueued(_ count: Int) {
        unsentBytes += count
        if unsentBytes > Self.largest { hasGrown = true }
    }

    private func refusal() -> WireError {
        let message = lastMessage
        guard PQstatus(conn) == CONNECTION_BAD else { return .refused(message) }
        isBroken = true
        return loss(message)
    }

    private var lastMessage: String { oneLine(PQerrorMessage(conn)) }

    // MARK: A flight

    /// Whether something is left to write after the sync.
    package var mustFlush: Bool { PQflush(conn) > 0 }

    /// Ends the flight with a sync, sends it, and waits for the first of its answers; on a loop's thread, until it is late.
    /// What does not fit the socket's buffer is for `flush`.
    ///
    /// Tasks on a loop's thread that do this in one turn of the loop have their flights sent one after the other at its end.
    package func depart(_ limits: FlightLimits) async throws(WireError) {
        outstanding += 1
        let wake = await watch.wait(until: limits.earliest, sending: self)
        switch sending {
        case .sent: break
        case .begun: return
        case .failed: throw refusal()
        }
        switch wake {
        case .ready: consume()
        case .late: break
        case .deadline, .interrupted: try heed(wake, limits)
        }
    }

    /// How far `sendNow` came.
    enum Sending { case sent, begun, failed }

    func send(then waiter: SocketWaiter) {
        if let loop = EventLoop.current.get() { loop.send(self, then: waiter) } else { _ = sendNow(then: waiter) }
    }

    /// Sends what fits; the waiter waits for answers only when everything is sent. Its borrower is suspended meanwhile.
    /// Returns the number of the wait, if it has begun.
    func sendNow(then waiter: SocketWaiter) -> UInt64? {
        sending = cpq_pipeline_sync(conn) == 1 ? (PQflush(conn) > 0 ? .begun : .sent) : .failed
        if isCorked {
            isCorked = false
            cpq_cork(descriptor, 0)
        }
        if sending == .sent { return watch.admit(waiter) }
        waiter.continuation.resume(returning: .ready)
        return nil
    }

    /// Whether this is the thread of a loop, which ends the wait for an answer that is late.
    package static var isOnLoop: Bool { EventLoop.current.get() != nil }

    /// Writes it all, reading meanwhile if the server talks first.
    package func flush(_ limits: FlightLimits) async throws(WireError) {
        // A failed write is read on: the server may have said why before it closed.
        while PQflush(conn) > 0 {
            try await wait(for: [.read, .write], limits)
            if hasUnreadBytes { consume() }
        }
    }

    /// Sends what the socket takes and reads what it has, without waiting; hears of interrupts and deadlines.
    package func look(_ limits: FlightLimits) throws(WireError) {
        // A failed write is read on.
        if PQflush(conn) == 0 { unsentBytes = 0 }
        if hasUnreadBytes { consume() }
        let wake = watch.pendingEnd(nextDeadline(limits))
        if wake != .ready { try heed(wake, limits) }
    }

    /// Whether something that was queued has not been answered.
    package var isOwedReplies: Bool { outstanding > 0 }

    /// The next answer, if it has arrived. Once per queued command and sync; after a `.partial`, again for the same one.
    ///
    /// A result that is only lent costs no object of its own; it is gone when the next answer is taken.
    package func takeReply(isLent: Bool = false) throws(WireError) -> Reply? {
        precondition(outstanding > 0, "a reply is read only for what was queued")
        lender.returnLent()
        while isAnswerDue {
            guard var pointer = PQgetResult(conn) else {
                // The gap between two commands, or a connection that can answer nothing more.
                if PQstatus(conn) == CONNECTION_BAD { throw lost(lastMessage) }
                continue
            }
            if isSinking, let rowSink, cpq_is_partial_rows(PQresultStatus(pointer)) {
                guard let next = sink(pointer, into: rowSink) else { continue }
                pointer = next
            }
            let status = PQresultStatus(pointer)
            isSinking = false
            if rowSink != nil {
                answersBeforeRows -= 1
                if answersBeforeRows < 0 { rowSink = nil }
            }
            guard status != PGRES_PIPELINE_SYNC else {
                PQclear(pointer)
                outstanding -= 1
                return .sync
            }
            if !isLent { return try reply(WireResult(pointer)) }
            lender.lend(pointer)
            return try reply(lender)
        }
        return nil
    }

    /// Hands over rows that have arrived. Returns what comes behind the last of them, if that has arrived.
    private func sink(_ first: OpaquePointer, into rowSink: any RowSink) -> OpaquePointer? {
        // Of a statement that is being cancelled nobody wants to know more.
        let isWanted = !isCancelling
        var pointer = first
        repeat {
            lender.lend(pointer)
            noteSize(of: lender)
            if isWanted { rowSink.take(lender) } else { rowSink.drop(lender) }
            lender.returnLent()
            guard PQisBusy(conn) == 0, let next = PQgetResult(conn) else { return nil }
            pointer = next
        } while cpq_is_partial_rows(PQresultStatus(pointer))
        return pointer
    }

    private var isAnswerDue: Bool {
        // Rows can be asked for one by one from the moment that the command before has been answered to its end.
        if rowSink != nil, answersBeforeRows == 0, !isSinking { isSinking = cpq_stream_rows(conn, 256) == 1 }
        return PQisBusy(conn) == 0 || PQstatus(conn) == CONNECTION_BAD
    }

    /// Reads more from the socket, and waits for it where there is none. Once the flight has read anything, bytes (or the end)
    /// may lie in the kernel whose event is spent, so it looks before it waits; until then, the event is still to come.
    package func waitForInput(_ limits: FlightLimits) async throws(WireError) {
        let deadline = nextDeadline(limits)
        let wake: Wake
        if hasConsumed && hasUnreadBytes {
            // Whoever never has to wait hears of interrupts and deadlines all the same.
            wake = watch.pendingEnd(deadline)
        } else {
            wake = await watch.wait(for: .read, until: deadline)
        }
        if wake != .ready { try heed(wake, limits) }
        consume()
    }

    /// The next answer, waited for.
    package func nextReply(_ limits: FlightLimits) async throws(WireError) -> Reply {
        while true {
            if let reply = try takeReply() { return reply }
            try await waitForInput(limits)
        }
    }

    @inline(__always)
    private func noteSize(of rows: borrowing WireResult) {
        if rows.memorySize > Self.largest { hasGrown = hasGrown || rows.hasRow(largerThan: Self.largest) }
    }

    private func reply(_ result: consuming WireResult) throws(WireError) -> Reply {
        noteSize(of: result)
        let status = PQresultStatus(result.pointer)
        if cpq_is_partial_rows(status) { return .partial(result) }
        switch status {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            outstanding -= 1
            return .complete(result)
        case PGRES_PIPELINE_ABORTED:
            outstanding -= 1
            return .skipped
        case PGRES_FATAL_ERROR:
            let error = WireServerError(result.pointer)
            if error.isFatal { lastFatal = error }
            if error.isFatal || error.sqlState.isEmpty { throw lost(error.message) }
            outstanding -= 1
            return .refused(error)
        default:
            isBroken = true
            return .unexpected(String(cString: PQresStatus(status)))
        }
    }

    private func lost(_ message: String) -> WireError {
        isBroken = true
        return loss(message)
    }

    /// Whether the flight's statement is being cancelled; then the flight ends with `endFlight`.
    package var isCancelling: Bool { cancelling != nil }

    /// What ended the flight early. (A function, because what another module reads itself is checked for exclusive access.)
    package func whyInterrupted() -> Interruption? { interruption }

    /// After the last reply: waits for the fence of a cancel request, if there was one. The flight is over then.
    package func endFlight() async throws(WireError) {
        guard let ended = cancelling.take() else { return }
        guard await ended.request.wait(until: ended.deadline) else {
            isBroken = true
            throw .timedOut("the cancel request to \(target) did not end in time")
        }
    }

    /// Forgets how the last flight was interrupted; call before the next one.
    package func beginFlight() {
        interruption = nil
        givenUpAt = nil
        hasConsumed = false
        unsentBytes = 0
        rowSink = nil
        isSinking = false
        watch.clearInterrupt()
    }
}

internal import PostgresWire

/// One `PGconn` with what is known of its session: the statements it has prepared.
///
/// Reused for hours by one borrower after another. It sends flights and reads their answers; it knows nothing of
/// transactions.
final class PhysicalConnection: @unchecked Sendable {
    // Proof: used only by the holder of its lease; the pool's lock orders one holder after another.
    let wire: WireConnection
    private var cache: StatementCache
    /// The statements of the flight under way, in order; kept for its memory.
    private var plan: [PlannedCommand] = []

    private struct PlannedCommand {
        var entry: StatementCache.Entry?
        var isPrepareQueued: Bool
    }

    init(_ wire: WireConnection, statementCacheSize: Int) {
        self.wire = wire
        cache = StatementCache(capacity: statementCacheSize)
    }

    /// Sends the flight and reads all its answers. A thrown error means that the connection is gone.
    ///
    /// Where its limits allow, the task's cancellation cancels the statement on the server; the connection stays usable.
    func fly(_ flight: Flight) async throws(WireError) -> FlightOutcome {
        wire.beginFlight()
        let outcome: Result<FlightOutcome, WireError>
        if flight.limits.isInterruptible {
            outcome = await withTaskCancellationHandler {
                await attempt(flight)
            } onCancel: {
                wire.interrupt()
            }
        } else {
            outcome = await attempt(flight)
        }
        return try outcome.get()
    }

    /// A Sync and its answer: one round trip that says nothing but "alive".
    func ping(within timeout: Duration) async -> Bool {
        wire.beginFlight()
        let limits = FlightLimits(hard: Monotonic.now.advanced(by: timeout), isInterruptible: false)
        do throws(WireError) {
            try await wire.send(limits)
            guard case .sync = try await wire.nextReply(limits) else { return false }
            return true
        } catch {
            return false
        }
    }

    /// The server has forgotten what was prepared: `DISCARD ALL`, `DEALLOCATE ALL`.
    func forgetStatements() { cache.forgetAll() }

    // MARK: A flight

    private func attempt(_ flight: Flight) async -> Result<FlightOutcome, WireError> {
        do throws(WireError) {
            return .success(try await converse(flight))
        } catch {
            return .failure(error)
        }
    }

    private func converse(_ flight: Flight) async throws(WireError) -> FlightOutcome {
        plan.removeAll(keepingCapacity: true)
        let dropped = try queueDiscarded()
        let refusal = try queue(flight)
        try await wire.send(flight.limits)
        if dropped > 0 { try await skipReplies(dropped, flight.limits) }
        var outcome = try await readReplies(flight)
        if let refusal { outcome.replies.append(.refused(refusal)) }
        guard case .sync = try await wire.nextReply(flight.limits) else { throw surprise("no end of the flight") }
        try await wire.endFlight()
        outcome.interruption = wire.interruption
        return outcome
    }

    /// Statements that the cache no longer wants are dropped ahead of the flight, in a segment of their own, whose failure is
    /// nobody's. Inside a transaction they must wait. Returns how many replies are due, the sync included.
    private func queueDiscarded() throws(WireError) -> Int {
        guard cache.hasDiscarded, wire.transactionStatus == .idle else { return 0 }
        let names = cache.takeDiscarded()
        for name in names { try wire.queueExecute(text: "DEALLOCATE \(name)", WireParameters()) }
        try wire.queueSync()
        return names.count + 1
    }

    /// Queues every command. What libpq itself refuses (it cannot be said in the protocol) comes back as a refusal.
    private func queue(_ flight: Flight) throws(WireError) -> WireServerError? {
        for (index, command) in flight.commands.enumerated() {
            do throws(WireError) {
                try queue(command)
            } catch .refused(let message) {
                return WireServerError(severity: "ERROR", message: message)
            }
            if index == 0 && flight.livenessTimeout != nil { try wire.queueFlushRequest() }
        }
        return nil
    }

    private func queue(_ command: SQLQuery) throws(WireError) {
        let text = command.text
        guard cache.isEnabled else {
            try wire.queueExecute(text: text, command.parameters)
            plan.append(PlannedCommand(entry: nil, isPrepareQueued: false))
            return
        }
        let entry = cache.entry(for: text, command.parameters)
        let mustPrepare = entry.state == .unknown
        if mustPrepare {
            try wire.queuePrepare(name: entry.name, text: text, command.parameters)
            entry.state = .queued
        }
        plan.append(PlannedCommand(entry: entry, isPrepareQueued: mustPrepare))
        try wire.queueExecute(prepared: entry.name, command.parameters)
    }

    // MARK: Its answers

    private func readReplies(_ flight: Flight) async throws(WireError) -> FlightOutcome {
        var outcome = FlightOutcome()
        outcome.replies.reserveCapacity(plan.count)
        var limits = flight.limits
        if let timeout = flight.livenessTimeout { limits.hard = Monotonic.now.advanced(by: timeout) }
        for index in plan.indices {
            let command = plan[index]
            if command.isPrepareQueued {
                let prepared = try await readReply(limits)
                limits = flight.limits
                note(prepared, of: command.entry)
                let executed = try await readReply(limits)
                if case .complete = prepared {
                    outcome.replies.append(note(executed, executing: command.entry))
                } else {
                    outcome.replies.append(prepared)
                }
            } else {
                outcome.replies.append(note(try await readReply(limits), executing: command.entry))
                limits = flight.limits
            }
        }
        return outcome
    }

    private func readReply(_ limits: FlightLimits) async throws(WireError) -> FlightReply {
        switch try await wire.nextReply(limits) {
        case .complete(let result): return .complete(result)
        case .refused(let error): return .refused(error)
        case .skipped: return .skipped
        case .partial: throw surprise("a row that nobody asked to stream")
        case .sync: throw surprise("an early end of the flight")
        case .unexpected(let what): throw surprise("\(what): COPY goes through copyIn and copyOut")
        }
    }

    private func skipReplies(_ count: Int, _ limits: FlightLimits) async throws(WireError) {
        for _ in 0..<count { _ = try await wire.nextReply(limits) }
    }

    private func note(_ prepared: FlightReply, of entry: StatementCache.Entry?) {
        guard let entry else { return }
        if case .complete = prepared { entry.state = .prepared } else { cache.forget(entry) }
    }

    /// A statement that has vanished or no longer fits is forgotten, so that its next use prepares it anew.
    private func note(_ reply: FlightReply, executing entry: StatementCache.Entry?) -> FlightReply {
        guard case .refused(let error) = reply, let entry else { return reply }
        if error.isStalePlan { cache.forget(entry) } else if error.isVanishedStatement { cache.forgetAll() }
        return reply
    }

    private func surprise(_ what: String) -> WireError {
        wire.closeAfterSurprise()
        return .lost("the server answered out of turn: \(what)", nil)
    }
}

extension WireServerError {
    /// "cached plan must not change result type": a table has changed under a prepared statement.
    var isStalePlan: Bool { sqlState == "0A000" && message.contains("cached plan") }
    /// The prepared statement is gone from the server, or its name is taken.
    var isVanishedStatement: Bool { sqlState == "26000" || sqlState == "42P05" }
    /// Repairable by preparing again, where nothing is lost by sending again.
    var isStaleStatement: Bool { isStalePlan || isVanishedStatement }
}

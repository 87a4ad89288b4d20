internal import PostgresWire

/// A flight in two halves, for streams: the next rows are under way while the last ones are read.
extension PhysicalConnection {
    /// How long rows that nobody wants any more are waited for before they are cancelled on the server.
    private static let patience = Duration.milliseconds(25)

    /// Sends a flight and returns; `land` reads its answers. Whatever is said next on this connection lands it first. The first
    /// of its commands is a savepoint, to which `remedy` goes back.
    func launch(_ flight: Flight, remedy: [SQLQuery]) async throws(WireError) {
        wire.beginFlight()
        hasForeignTypes = false
        clearPlan()
        if let refusal = try queue(flight) { throw .refused(refusal.message) }
        try wire.queueSync()
        underWay = flight
        self.remedy = remedy
        reader = ReplyReader(skipping: 0)
        try await wire.flush(flight.limits)
    }

    /// Reads the answers of the flight that was launched.
    func land() async throws(WireError) -> FlightOutcome? {
        guard let flight = underWay else { return nil }
        underWay = nil
        try await readRest(of: flight, departing: false)
        if wire.isCancelling { try await wire.endFlight() }
        let outcome = takeOutcome()
        if hasForeignTypes { try await learnTypes(of: outcome, flight) }
        return outcome
    }

    /// A stream was left early: what it had asked for last is dropped, and where it does not come soon, cancelled. A failure that
    /// nobody has seen is undone alone, unless everything is about to be. Bounded.
    func landLeftover(beforeRollback: Bool = false) async throws(WireError) {
        if isCopying { try await abandonCopyOut() }
        guard let flight = underWay else { return }
        underWay = nil
        wire.clearInterrupt()
        try await drop(flight)
        guard !beforeRollback, wire.transactionStatus == .failed else { return }
        guard await run(remedy, within: .seconds(5), isUnnamed: true) else {
            wire.closeAfterSurprise()
            throw .lost("the transaction could not go on after a stream that was left early", nil)
        }
    }

    /// Cancelled is only what has begun: the savepoint has been answered by then.
    private func drop(_ flight: Flight) async throws(WireError) {
        var limits = FlightLimits(
            hard: Monotonic.now.advanced(by: WireConnection.cancelTimeout), isInterruptible: false)
        if wire.mustFlush { try await wire.flush(limits) }
        var turn = Monotonic.now
        while try !takeReplies(to: flight) {
            if reader.hasAny, limits.soft == nil {
                limits = FlightLimits(soft: Monotonic.now.advanced(by: Self.patience))
            }
            try await wire.waitForInput(limits)
            await Self.endTurnIfLong(&turn)
        }
        reader = ReplyReader(skipping: 0)
        if wire.isCancelling { try await wire.endFlight() }
    }
}

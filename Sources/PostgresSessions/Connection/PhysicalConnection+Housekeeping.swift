internal import PostgresWire

/// What the pool and the end of a transaction ask of a connection: bounded, and never cancelled.
extension PhysicalConnection {
    /// A Sync and its answer: one round trip that says nothing but "alive".
    func ping(within timeout: Duration) async -> Bool {
        guard underWay == nil, !isCopying else { return false }
        wire.beginFlight()
        let limits = FlightLimits(hard: Monotonic.now.advanced(by: timeout), isInterruptible: false)
        do throws(WireError) {
            try wire.queueSync()
            try await wire.flush(limits)
            guard case .sync = try await wire.nextReply(limits) else { return false }
            return true
        } catch {
            return false
        }
    }

    /// What a user's statement will do to the session.
    @inline(__always) @discardableResult
    func note(_ traits: StatementTraits) throws(WireError) -> SessionState {
        if let refusal = traits.refusal { throw .refused(refusal) }
        leftovers.formUnion(traits.leaves)
        return traits.leaves
    }

    /// For work of many flights, any of which may have ended before it could be cancelled. The transaction may still end.
    func checkNotShutDown() throws(EngineError) {
        if wire.isShutDown { throw .shutDown }
    }

    /// Undoing what was left behind would undo what the connect hooks have made.
    var mustBeMadeAnew: Bool { !leftovers.isDisjoint(with: madeByHooks) }

    /// Undoes what is known to be left behind. False: the connection is not usable.
    func clean(within timeout: Duration) async -> Bool {
        guard !leftovers.isEmpty else { return true }
        guard await run(leftovers.remedies, within: timeout, isUnnamed: true) else { return false }
        if leftovers.contains(.preparedStatements) { cache.forgetAll() }
        leftovers = []
        return true
    }

    /// What the connect hooks have set is this connection's normal state.
    func adoptLeftovers() {
        madeByHooks.formUnion(leftovers)
        leftovers = []
    }

    func discardAll(within timeout: Duration) async -> Bool {
        guard await run(["DISCARD ALL"], within: timeout, isUnnamed: true) else { return false }
        cache.forgetAll()
        leftovers = []
        return true
    }

    /// Ends a transaction, if the protocol says that one is open. False: the connection is not usable.
    func rollBack(within timeout: Duration) async -> Bool {
        guard !wire.isBroken, (try? await landLeftover(beforeRollback: true)) != nil else { return false }
        switch wire.transactionStatus {
        case .idle: return true
        case .inTransaction, .failed: break
        case .active, .unknown: return false
        }
        return await run(["ROLLBACK"], within: timeout) && wire.transactionStatus == .idle
    }

    /// The library's own words, in one flight: not cancellable, and with a deadline.
    func run(_ commands: [SQLQuery], within timeout: Duration, isUnnamed: Bool = false) async -> Bool {
        guard let last = commands.last else { return true }
        let limits = FlightLimits(hard: Monotonic.now.advanced(by: timeout), isInterruptible: false)
        let flight = Flight(
            leading: commands.dropLast(), statement: last, limits: limits, isOwn: true, isUnnamed: isUnnamed)
        guard let outcome = try? await fly(flight) else { return false }
        return outcome.failure == nil
    }

    var info: ConnectionInfo {
        ConnectionInfo(
            processID: Int(wire.processID), target: wire.target, serverVersion: Int(wire.serverVersion))
    }
}

// What a flight's conversation needs besides.
extension PhysicalConnection {
    func limitsOfFirstReply(to flight: Flight, _ given: FlightLimits) -> FlightLimits {
        var limits = given
        if let timeout = flight.livenessTimeout { limits.hard = Monotonic.now.advanced(by: timeout) }
        return limits
    }

    /// A statement that was not dropped, for a cancel request that came early, or for one before it, is dropped another time.
    func noteDropped(_ name: String, _ reply: Reply) {
        switch reply {
        case .refused(let error): if !error.isVanishedStatement { cache.discard(name) }
        case .skipped: cache.discard(name)
        case .complete, .partial, .sync, .unexpected: break
        }
    }

    /// By other means than a statement's own words: what came since cannot be trusted.
    func changedEncoding() -> WireError {
        wire.closeAfterSurprise()
        return .lost(
            "it was closed, since a function or setting has changed its encoding; \(StatementTraits.encodingStays)", nil
        )
    }

    func surprise(_ what: String) -> WireError {
        wire.closeAfterSurprise()
        return .lost("the server answered out of turn: \(what)", nil)
    }
}

internal import Logging
internal import PostgresWire

extension SessionCore {
    // MARK: Commit

    func commit(in scope: Int?) async throws {
        try await end(in: scope) { try await self.commitClaimed() }
    }

    private func end(in scope: Int?, _ commit: () async throws -> Void) async throws {
        try claim(scope)
        let outcome: Result<Void, any Error>
        do {
            try await commit()
            endScopes()
            outcome = .success(())
        } catch {
            if isOverByCommit { endScopes() }
            outcome = .failure(error)
        }
        let actions = takeActions()
        unclaim()
        for action in actions { await action() }
        try outcome.get()
    }

    func commit(with query: SQLQuery, in scope: Int?) async throws -> WireResult {
        try query.validated()
        try claim(scope)
        hasSentCommit = false
        let outcome: Result<WireResult, any Error>
        do {
            var flight = Flight(statement: query)
            outcome = .success(try await say(&flight, thenCommit: true).result.unsafelyUnwrapped)
            if frame.commit == nil { await leaveOuterOpen() }
            endScopes()
            noteOutcome(isCommitted: true)
        } catch {
            outcome = .failure(error)
            if case EngineError.commitOutcomeUnknown = error {
                forgetActions()
            } else if isOverByCommit {
                noteOutcome(isCommitted: false)
            }
            if isOverByCommit { endScopes() }
        }
        let actions = takeActions()
        unclaim()
        for action in actions { await action() }
        return try outcome.get()
    }

    /// Whether a COMMIT that was sent has ended the transaction, though not as it should.
    private var isOverByCommit: Bool {
        if case .none = transaction { hasSentCommit } else { false }
    }

    /// PREPARE TRANSACTION ends the unit of work as COMMIT does, and is as little cancellable. What becomes of the transaction
    /// is not decided by it.
    func prepare(as gid: String, in scope: Int?) async throws {
        let literal = try SQLQuery.literal(gid, what: "a prepared transaction's gid")
        try await end(in: scope) {
            switch transaction {
            case .none, .pending: throw EngineError.invalidState("there is no transaction to prepare")
            case .active where !frame.isWhole: throw EngineError.invalidState("a savepoint cannot be prepared")
            case .active, .failed, .lost:
                try await finish(with: "PREPARE TRANSACTION \(literal)", tag: "PREPARE TRANSACTION") { forgetActions() }
            }
        }
    }

    @inline(__always)
    private func commitClaimed() async throws {
        let command = frame.commit
        if command == nil, case .active = transaction {
            try Task.checkCancellation()
            await leaveOuterOpen()
            return noteOutcome(isCommitted: true)
        }
        try await finish(with: command ?? "COMMIT", tag: frame.commitTag) { noteOutcome(isCommitted: true) }
    }

    @inline(__always)
    private func finish(with command: consuming SQLQuery, tag: StaticString, _ note: () -> Void) async throws {
        switch transaction {
        case .none, .pending:
            endTransaction()
            return note()
        case .failed(let state):
            throw EngineError.transactionAborted("a statement failed with \(state); it cannot be committed")
        case .lost(let why): throw EngineError.transactionAborted(why)
        case .active: break
        }
        try Task.checkCancellation()
        guard let lease else { return }
        try checkNotEnded(lease)
        hasSentCommit = true
        let outcome: FlightOutcome
        do throws(WireError) {
            var limits = FlightLimits(hard: commitDeadline, isInterruptible: false)
            limits.endsAfterInterrupt = true
            outcome = try await lease.connection.fly(
                Flight(leading: debts, statement: command, limits: limits, isOwn: true))
        } catch {
            guard isCommitFinal else { throw loseSavepoint(error) }
            let unknown = CommitOutcome(transactionID: transactionID, reason: "\(EngineError(error))")
            giveBackBroken()
            forgetActions()
            throw EngineError.commitOutcomeUnknown(unknown)
        }
        if let error = outcome.failure { engine.note(error, on: lease, mayWrite: mayWrite) }
        // Whatever COMMIT answers, the transaction is over.
        endTransaction()
        do {
            let result = try verdict(on: outcome, options).get()
            guard result.isTagged(tag) else {
                throw EngineError.transactionAborted("the server answered \(tag) with \(result.commandTag)")
            }
            note()
        } catch {
            noteOutcome(isCommitted: false)
            throw error
        }
    }

    /// A COMMIT that nobody would hear is not sent: so it is known that nothing was committed.
    func checkNotEnded(_ lease: Lease) throws {
        guard isCommitFinal, let end = lease.wire.announcedEnd() else { return }
        giveBackBroken()
        throw end.surfaced(hasTimeout: false)
    }

    /// COMMIT is not cancelled when a statement's time is up, but neither is a server waited for that has stopped.
    private var commitDeadline: Monotonic? {
        guard timeout != nil || options.statementTimeout != nil else { return nil }
        let latest = [options.clientDeadline, timeout].compactMap { $0 }.min()
        return latest.map { max($0, .now).advanced(by: ConnectionPool.housekeepingTimeout) }
    }

    // MARK: Rollback

    func rollBack(in scope: Int?) async throws {
        try claim(scope)
        await rollBackQuietly()
        endScopes()
        noteOutcome(isCommitted: false)
        let actions = takeActions()
        unclaim()
        for action in actions { await action() }
    }

    /// Claimed. Ends the transaction, whatever its state. Shielded from cancellation and bounded; where ROLLBACK cannot be
    /// had, the connection is closed, and the server rolls back.
    func rollBackQuietly() async {
        if let lease {
            let timeout = ConnectionPool.housekeepingTimeout
            let isClean =
                if let savepoint = frame.savepoint {
                    await lease.connection.run(TransactionFrame.undo(savepoint), within: timeout)
                } else {
                    await lease.connection.rollBack(within: timeout)
                }
            if !isClean {
                engine.logger.warning(
                    "a transaction could not be rolled back; its connection is closed, and the server rolls back",
                    metadata: ["pg.session.origin": "\(origin)"])
                giveBackBroken()
            }
        }
        endTransaction()
    }

    // MARK: Close

    /// The end of the session, from its scope or by hand. What is not committed is rolled back.
    @usableFromInline
    func close() async {
        guard !closeAtOnce() else { return }
        // A second task may be inside; it fails on its own, and the session is closed when it has left.
        do throws(EngineError) {
            try claimAtEnd()
        } catch {
            return closeLater(error)
        }
        await closeClaimed()
        unclaim()
    }

    /// The ordinary end, after COMMIT, which waits for nothing.
    func closeAtOnce() -> Bool {
        do throws(EngineError) {
            try claim(nil)
        } catch {
            return false
        }
        defer { unclaim() }
        guard case .none = transaction, lease == nil, dueActions.isEmpty else { return false }
        isClosed = true
        return true
    }

    func closeClaimed() async {
        let wasOpen: Bool
        if case .none = transaction { wasOpen = false } else { wasOpen = true }
        if case .borrowed = frame, lease != nil {
            await leaveOuterOpen()
            forgetActions()
        } else {
            await rollBackQuietly()
        }
        isClosed = true
        if wasOpen { noteOutcome(isCommitted: false) }
        let actions = takeActions()
        for action in actions { await action() }
    }

    /// Somebody else holds the session (a task it was smuggled into): wait for them, in the background.
    private func closeLater(_ error: EngineError) {
        guard case .invalidState = error else { return }
        lease?.wire.interrupt()
        Task { [self] in await closeInTurn() }
    }

    /// Commits what a stream of its own has read, and closes; nobody waits for it. On a raw connection, that is for whoever uses the
    /// connection next.
    func closeInBackground() {
        if let joined { return joined.core.leaveStream(holdOnConnection) }
        Task.detached(executorPreference: EventLoops.shared) { [self] in await commitAndClose() }
    }

    /// Nobody would notice that it waits for ever.
    func commitAndClose() async {
        timeout = timeout ?? .now.advanced(by: ConnectionPool.housekeepingTimeout)
        if case .active = transaction { try? await commit(in: nil) }
        await closeInTurn()
    }

    /// For a handle that was dropped without `close()`.
    func abandon() {
        guard !isClosed else { return }
        guard lease != nil else { return }
        engine.logger.warning(
            "a session was dropped without close(); its work is rolled back",
            metadata: ["pg.session.origin": "\(origin)"])
        for observer in engine.configuration.observers { observer.didDropSession(origin: "\(origin)") }
        Task.detached(executorPreference: EventLoops.shared) { [self] in await close() }
    }

    // MARK: After the end

    /// The transaction is over: the actions for this outcome are due.
    func noteOutcome(isCommitted: Bool) {
        if isCommitted { mayBeCommitted = true }
        guard !(afterCommit.isEmpty && afterRollback.isEmpty) else { return }
        dueActions += isCommitted ? afterCommit : afterRollback
        afterCommit.removeAll()
        afterRollback.removeAll()
    }

    /// A statement's own text has ended the transaction. The first end is that of the actions; what began after it, in the same
    /// flight, had none.
    func note(_ end: TransactionEnd, _ outcome: FlightOutcome) {
        switch end {
        case .committed: noteOutcome(isCommitted: true)
        case .rolledBack: noteOutcome(isCommitted: false)
        case .prepared: forgetActions()
        }
        if outcome.hasCommitted { mayBeCommitted = true }
    }

    /// AND CHAIN, or a BEGIN behind the end: what the session knew of its transaction was the last one's, and what was set for
    /// that one is set again.
    func goOnInNext(after end: TransactionEnd, _ outcome: FlightOutcome) {
        let now = transaction
        note(end, outcome)
        (transaction, transactionID) = (now, nil)
        savepoints.removeAll()
        if let joined {
            // What was open before is over, and what is open now is the session's.
            frame = .own
            joined.core.savepoints.forgetAll()
        }
        if options.hasLocalSettings {
            riders.append(Rider(command: SQLQuery(settingLocally: options.localSettings)))
        }
        if let timeout { riders.append(.timeout(at: timeout, depth: timedScopes)) }
    }

    /// Neither "committed" nor "rolled back" may be said. The unit of work is over.
    func forgetActions() {
        mayBeCommitted = true
        transaction = .none
        transactionID = nil
        characteristics = TransactionCharacteristics()
        afterCommit.removeAll()
        afterRollback.removeAll()
    }

    /// The actions that are due: those of the outcome that has happened. They may want a connection, so they wait until this
    /// session's is home.
    func takeActions() -> [@Sendable () async -> Void] {
        guard !dueActions.isEmpty, lease == nil else { return [] }
        defer { dueActions.removeAll() }
        return dueActions
    }

    /// `commit` or `rollback` by hand, also a `commit` that the server has refused or not answered: every scope that owned part of
    /// the transaction is over, but for its end, and so are those inside it.
    private func endScopes() {
        guard let first = scopes.firstIndex(where: { $0.ownsTransaction }) else { return }
        for index in first..<scopes.endIndex { scopes[index].isEnded = true }
    }
}

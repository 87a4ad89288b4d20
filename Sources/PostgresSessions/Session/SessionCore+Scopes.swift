internal import Logging
internal import PostgresWire

extension SessionCore {
    // MARK: The outermost scopes

    /// The beginning of `engine.withTransaction`: its scope. Nothing is sent.
    @usableFromInline
    func openTransaction(_ isolationLevel: IsolationLevel?, _ accessMode: AccessMode?, deferrable: Bool) -> Int {
        characteristics = TransactionCharacteristics(
            isolationLevel: isolationLevel, accessMode: accessMode, deferrable: deferrable)
        transaction = .pending
        let scope = nextSerial()
        scopes.append(Scope(id: scope, ownsTransaction: true))
        return scope
    }

    /// The body has returned: COMMIT, where it was not said by hand, and the session's end.
    @usableFromInline
    func closeTransaction(_ scope: Int) async throws {
        if !(scopes.last?.isEnded ?? true) { try await commit(in: scope) }
        if !closeAtOnce() { await close() }
    }

    /// The body, or COMMIT, has failed: the session's end. Returns when the body is to be run again.
    @usableFromInline
    func leaveTransaction(after error: any Error, _ retry: RetryPolicy, _ attempt: Int) async throws {
        abandoned = transaction
        await close()
        guard attempt < retry.maxAttempts, mayRetry(after: error), !Task.isCancelled else { throw error }
        engine.logger.debug("running a transaction again", metadata: ["attempt": "\(attempt + 1)"])
        for observer in engine.configuration.observers {
            observer.willRetry(attempt: attempt + 1, after: error, origin: "\(origin)")
        }
        try await Task.sleep(for: retry.pause(after: attempt))
    }

    /// Whether the unit of work that ended with `error` may be run again: a conflict, or a lost connection, also where the
    /// body had swallowed it and went on; or a prepared statement that no longer fits, which is forgotten by now. Never where
    /// something may have been committed: one that is lost in COMMIT is none of these.
    func mayRetry(after error: any Error) -> Bool {
        guard !mayBeCommitted else { return false }
        switch error {
        case let error as ServerError: return error.sqlState.isConflict || error.isStaleStatement
        case EngineError.connectionLost: return true
        case EngineError.transactionAborted:
            switch abandoned {
            case .failed(let state): return state.isConflict
            case .lost: return true
            case .none, .pending, .active: return false
            }
        default: return false
        }
    }

    // MARK: The opening flight once more

    /// What an opening flight that comes to nothing has to say again: how the transaction begins, and its open scopes.
    struct Beginning {
        var transaction: Transaction
        var characteristics: TransactionCharacteristics
        var savepoints: [Savepoint]
        var riders: [Rider]
    }

    var beginning: Beginning {
        Beginning(
            transaction: transaction, characteristics: characteristics, savepoints: savepoints, riders: riders)
    }

    func beginAgain(_ beginning: Beginning) {
        transaction = beginning.transaction
        characteristics = beginning.characteristics
        savepoints = beginning.savepoints
        riders = beginning.riders
    }

    // MARK: Nested scopes

    /// A savepoint around the body. SAVEPOINT rides with the body's first statement and RELEASE with the next one after
    /// it, so a scope costs no round trip, and an empty one sends nothing.
    func savepoint<R>(
        in outer: Int?, _ body: (sending Session) async throws -> R
    ) async throws -> R {
        let (scope, name) = try openSavepoint(in: outer)
        do {
            let result = try await body(Session(self, scope: scope))
            try await release(name, scope)
            return result
        } catch {
            await rollBack(to: name, scope)
            throw error
        }
    }

    /// On a session without a transaction, one of its own; else a savepoint.
    func nestedTransaction<R>(
        in outer: Int?, _ body: (sending Session) async throws -> R
    ) async throws -> R {
        guard case .none = transaction else { return try await savepoint(in: outer, body) }
        let scope = try openTransaction(in: outer)
        do {
            let result = try await body(Session(self, scope: scope))
            if !(scopes.last?.isEnded ?? true) { try await commit(in: scope) }
            pop(scope)
            return result
        } catch {
            if case .none = transaction {} else { try? await rollBack(in: scope) }
            pop(scope)
            throw error
        }
    }

    private func openTransaction(in outer: Int?) throws -> Int {
        try begin(TransactionCharacteristics(), in: outer)
        let scope = nextSerial()
        scopes.append(Scope(id: scope, ownsTransaction: true))
        return scope
    }

    /// Nothing is sent: BEGIN rides with the first statement.
    func begin(_ characteristics: TransactionCharacteristics, in scope: Int?) throws {
        try claim(scope)
        defer { unclaim() }
        guard case .none = transaction else {
            throw EngineError.invalidState("a transaction is open already")
        }
        if scopes.last?.isEnded == true {
            throw EngineError.invalidState("the transaction was ended inside its scope; leave the scope first")
        }
        self.characteristics = characteristics
        transaction = .pending
    }

    private func openSavepoint(in outer: Int?) throws -> (scope: Int, name: String) {
        try claim(outer)
        defer { unclaim() }
        switch transaction {
        case .none, .pending, .active: break
        case .failed(let state):
            throw EngineError.transactionAborted("a statement failed with \(state); roll back to go on")
        case .lost(let why): throw EngineError.transactionAborted("\(why); roll back to go on")
        }
        if scopes.last?.isEnded == true {
            throw EngineError.invalidState("the transaction was ended inside its scope; leave the scope first")
        }
        if case .none = transaction { transaction = .pending }
        let scope = nextSerial()
        let name = "sp_\(scope)"
        savepoints.append(Savepoint(name: name))
        riders.append(Rider(command: "SAVEPOINT \(unsafeRaw: name)", savepoint: name))
        scopes.append(Scope(id: scope, ownsTransaction: true))
        return (scope, name)
    }

    private func release(_ name: String, _ scope: Int) async throws {
        try claim(scope)
        defer { unclaim() }
        guard scopes.last?.isEnded == false else {
            pop(scope)
            return
        }
        switch transaction {
        case .failed(let state):
            throw EngineError.transactionAborted("a statement failed with \(state); the savepoint cannot be released")
        case .lost(let why): throw EngineError.transactionAborted(why)
        case .none, .pending, .active: break
        }
        if let index = savepoints.lastIndex(where: { $0.name == name }) {
            if savepoints[index].isSent {
                riders.append(Rider(command: "RELEASE SAVEPOINT \(unsafeRaw: name)", savepoint: nil))
            } else {
                riders.removeAll { $0.savepoint == name }
            }
            savepoints.remove(at: index)
        }
        pop(scope)
    }

    /// Undoes the scope's work and nothing else. Shielded and bounded, as every rollback.
    private func rollBack(to name: String, _ scope: Int) async {
        do throws(EngineError) {
            try claim(scope)
        } catch {
            return  // whoever is inside fails on its own; the session's end cleans up
        }
        defer {
            pop(scope)
            unclaim()
        }
        guard scopes.last?.isEnded == false else { return }
        guard let index = savepoints.lastIndex(where: { $0.name == name }) else {
            // Its transaction was ended by a statement's text; what the body has said since has no savepoint.
            return giveBackBroken(Self.savepointGone)
        }
        let isSent = savepoints[index].isSent
        let inner = savepoints[index...].map(\.name)
        savepoints.removeSubrange(index...)
        riders.removeAll { rider in rider.savepoint.map { inner.contains($0) } ?? isSent }
        guard isSent, let lease else { return }
        let commands: [SQLQuery] = [
            "ROLLBACK TO SAVEPOINT \(unsafeRaw: name)", "RELEASE SAVEPOINT \(unsafeRaw: name)",
        ]
        let isUndone = await lease.connection.run(commands, within: ConnectionPool.housekeepingTimeout)
        if isUndone && lease.wire.transactionStatus == .inTransaction {
            transaction = .active
        } else {
            giveBackBroken(lease.wire.isBroken ? "the connection was lost" : Self.savepointGone)
        }
    }

    private static var savepointGone: String { "a scope's savepoint was gone when it was to be rolled back to" }

    // MARK: Scopes without a savepoint

    /// A scope that owns nothing of the transaction; its handle ends with it.
    func plainScope<R>(in outer: Int?, _ body: (sending Session) async throws -> R) async throws -> R {
        try claim(outer)
        let scope = nextSerial()
        scopes.append(Scope(id: scope, isEnded: scopes.last?.isEnded ?? false, ownsTransaction: false))
        unclaim()
        defer { popUnlessClaimed(scope) }
        return try await body(Session(self, scope: scope))
    }

    func timedScope<R>(
        _ duration: Duration, in outer: Int?, _ body: (sending Session) async throws -> R
    ) async throws -> R {
        try claim(outer)
        let previous = timeout
        let deadline = Monotonic.now.advanced(by: duration)
        timeout = previous.map { min($0, deadline) } ?? deadline
        timedScopes += 1
        let (number, depth) = (nextSerial(), timedScopes)
        riders.append(.timeout(at: deadline, depth: depth, number))
        unclaim()
        defer {
            timeout = previous
            timedScopes -= 1
            if let unsent = riders.firstIndex(where: { $0.timeout == number }) {
                riders.remove(at: unsent)
            } else if case .active = transaction {
                riders.append(.endOfTimeout(depth: depth))
                deepestEndedTimeout = max(deepestEndedTimeout, depth)
            }
        }
        return try await plainScope(in: outer, body)
    }

    /// A text has rolled back to a savepoint, which may have been made in a scope with a timeout that has ended since: the server
    /// has that one's limit again.
    func endTimeoutsAgain() {
        for depth in stride(from: deepestEndedTimeout, to: timedScopes, by: -1) {
            riders.append(.endOfTimeout(depth: depth))
        }
    }

    private func popUnlessClaimed(_ scope: Int) {
        guard (try? claim(nil)) != nil else { return }
        pop(scope)
        unclaim()
    }

    private func pop(_ scope: Int) {
        if let index = scopes.lastIndex(where: { $0.id == scope }) { scopes.removeSubrange(index...) }
    }
}

extension SessionCore.Rider {
    /// The server's limit for each statement until the scope's end, unless it has a shorter one: a little later than the client's,
    /// so that the client's is the one that is seen. What it was is kept in a setting of the same transaction.
    static func timeout(at deadline: Monotonic, depth: Int, _ number: Int? = nil) -> Self {
        let left = max(Monotonic.now.duration(to: deadline), .zero) + .milliseconds(250)
        let command: SQLQuery = """
            SELECT set_config('statement_timeout', CASE WHEN earlier = '0' THEN \(left.wholeMilliseconds)
            ELSE least(\(left.wholeMilliseconds), (extract(epoch FROM earlier::interval) * 1000)::int8) END::text, true)
            FROM (SELECT set_config('\(unsafeRaw: setting(depth))', current_setting('statement_timeout'), true) AS earlier
            OFFSET 0) AS kept
            """
        return Self(command: command, timeout: number)
    }

    /// The limit is again what it was before the scope. Where a rollback has taken the scope's limit back, it has been since.
    static func endOfTimeout(depth: Int) -> Self {
        let kept: SQLQuery = "nullif(current_setting('\(unsafeRaw: setting(depth))', true), '')"
        let command: SQLQuery = """
            SELECT set_config('statement_timeout', coalesce(\(kept), current_setting('statement_timeout')), true),
            set_config('\(unsafeRaw: setting(depth))', '', true)
            """
        return Self(command: command)
    }

    private static func setting(_ depth: Int) -> String { "postgres_sessions.timeout_\(depth)" }
}

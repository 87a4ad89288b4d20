internal import PostgresWire

extension Connection {
    /// A session on this connection, for as long as the body runs: SQLAlchemy's `Session(bind=connection)`.
    ///
    /// Where a transaction is open on the connection, `joinTransactionMode` says how the session stands to it: by default
    /// its commits and rollbacks are those of savepoints, and the outer transaction goes on untouched. Asked at the first
    /// statement of each of the session's transactions. While the body runs, the connection itself is not usable.
    ///
    /// Settings that the session makes for its transaction (`locals`, timeouts) hold on in the outer one, as `SET LOCAL`
    /// does; its isolation level and access mode are the outer one's. Actions `afterCommit` run after the session's own
    /// commit, which the outer transaction may still undo.
    /// - Throws: what the body throws, unchanged; ``EngineError/invalidState(_:)`` in a connect hook, and from the first
    ///   statement where the session wants characteristics that the open transaction cannot have.
    @discardableResult
    public func withSession<R>(
        joinTransactionMode mode: JoinTransactionMode = .createSavepoint, options: SessionOptions? = nil,
        file: StaticString = #fileID, line: UInt = #line, _ body: (sending Session) async throws -> R
    ) async throws -> R {
        guard let home = core.home else {
            throw EngineError.invalidState("a connection that is being made has no sessions yet")
        }
        try core.claim()
        defer { core.unclaim() }
        _ = try await core.ready()
        let demands = TransactionCharacteristics().over(options ?? SessionOptions())
        let session = SessionCore(
            home.engine, options, nil, Origin(file: file, line: line),
            joining: JoinedConnection(core: core, lease: home.lease, mode: mode, demands: demands))
        do {
            let result = try await body(Session(session))
            await session.closeInTurn()
            return result
        } catch {
            await session.closeInTurn()
            throw error
        }
    }
}

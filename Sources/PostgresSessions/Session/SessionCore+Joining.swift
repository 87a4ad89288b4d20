internal import PostgresWire

/// A session on a raw connection that somebody else has borrowed, in whatever transaction is open there.
extension SessionCore {
    /// Whether nothing can undo what COMMIT has done. A lost connection takes a savepoint with it, committed or not.
    var isCommitFinal: Bool { joined == nil || frame.isWhole }

    /// Finds out how the transaction that begins now stands to what is open on the connection.
    func join(_ joined: JoinedConnection) throws -> Lease {
        let found = try joined.frame(isSandbox: engine.configuration.isSandbox)
        if case .own = found {
        } else if !characteristics.isPlain || !joined.demands.isPlain {
            throw EngineError.invalidState(
                "isolation level and access mode are those of the transaction that is joined")
        }
        frame = found
        if joined.lease.wire.transactionStatus == .failed {
            lease = joined.lease
            transaction = .failed("25P02")
            throw EngineError.transactionAborted("the connection's transaction has failed; roll it back to go on")
        }
        return joined.lease
    }

    /// The connection is its holder's again.
    func leave(_ joined: JoinedConnection) {
        if let savepoint = frame.savepoint { joined.core.savepoints.forget(savepoint) }
        if joined.lease.wire.transactionStatus == .idle { joined.core.savepoints.forgetAll() }
        frame = .own
    }

    /// What is still to be said where the end of the session's transaction does not end everything: savepoints to
    /// release, settings to take back, cursors to close.
    var debts: [SQLQuery] {
        frame.isWhole ? [] : riders.filter { $0.savepoint == nil }.map(\.command)
    }

    /// The session's part is over, and the transaction goes on without it.
    func leaveOuterOpen() async {
        let commands = debts
        if let lease, !commands.isEmpty, lease.wire.transactionStatus == .inTransaction {
            _ = await lease.connection.run(commands, within: ConnectionPool.housekeepingTimeout)
            if lease.wire.isBroken { giveBackBroken() }
        }
        frame = .own
        endTransaction()
    }

    /// The connection was lost at the end of a savepoint.
    func loseSavepoint(_ error: WireError) -> any Error {
        giveBackBroken()
        endTransaction()
        noteOutcome(isCommitted: false)
        return EngineError(error)
    }

    /// The end of the session, after whoever it was smuggled to has left. A joined connection is free when this returns.
    func closeInTurn() async {
        while true {
            do throws(EngineError) {
                try claimAtEnd()
                break
            } catch {
                if case .sessionClosed = error { return }
                joined?.lease.wire.interrupt()
                await Task.detached { try? await Task.sleep(for: .milliseconds(5)) }.value
            }
        }
        await closeClaimed()
        unclaim()
    }
}

internal import Logging
internal import PoolCore
internal import PostgresWire

extension Engine {
    /// One unit of work by hand, like SQLAlchemy's `with Session(engine)`: commit what shall stay; the rest is rolled
    /// back when the body returns or throws.
    ///
    /// Nothing is borrowed until the first statement. The body runs once, on the caller's actor.
    /// - Parameters:
    ///   - options: over the engine's.
    ///   - checkoutTimeout: over the pool's.
    /// - Throws: what the body throws, unchanged.
    @discardableResult
    public func withSession<R>(
        options: SessionOptions? = nil, checkoutTimeout: Duration? = nil, file: StaticString = #fileID,
        line: UInt = #line, _ body: (sending Session) async throws -> R
    ) async throws -> R {
        let core = SessionCore(self, options, checkoutTimeout, Origin(file: file, line: line))
        do {
            let result = try await body(Session(core))
            await core.close()
            return result
        } catch {
            await core.close()
            throw error
        }
    }

    /// One transaction: committed when the body returns, rolled back when it throws.
    ///
    /// BEGIN rides in the first statement's flight, so a transaction of one statement costs two round trips, and one
    /// without statements none.
    /// - Parameters:
    ///   - isolationLevel: over the session options'.
    ///   - deferrable: for a serializable, read-only transaction: wait for a snapshot that cannot conflict.
    ///   - retry: when the body is run again; it must then be safe to repeat.
    /// - Throws: what the body throws, unchanged; ``EngineError/transactionAborted(_:)`` where the body swallowed a
    ///   failed statement; ``EngineError/commitOutcomeUnknown(_:)`` where COMMIT was sent and never answered.
    ///   Cancellation before COMMIT is sent rolls back; COMMIT itself is not cancellable.
    @discardableResult
    public func withTransaction<R>(
        isolationLevel: IsolationLevel? = nil, accessMode: AccessMode? = nil, deferrable: Bool = false,
        retry: RetryPolicy = .never, options: SessionOptions? = nil, checkoutTimeout: Duration? = nil,
        file: StaticString = #fileID, line: UInt = #line, _ body: (sending Session) async throws -> R
    ) async throws -> R {
        let characteristics = TransactionCharacteristics(
            isolationLevel: isolationLevel, accessMode: accessMode, deferrable: deferrable)
        var attempt = 1
        while true {
            let core = SessionCore(self, options, checkoutTimeout, Origin(file: file, line: line))
            do {
                return try await core.transaction(characteristics, body)
            } catch {
                guard attempt < retry.maxAttempts, core.mayRetry(after: error), !Task.isCancelled else { throw error }
                logger.debug("running a transaction again", metadata: ["attempt": "\(attempt + 1)"])
                for observer in configuration.observers {
                    observer.willRetry(attempt: attempt + 1, after: error, origin: "\(core.origin)")
                }
            }
            try await Task.sleep(for: retry.pause(after: attempt))
            attempt += 1
        }
    }

    /// A session in the manual form: whoever makes it calls `close()`. Nothing is borrowed until the first statement.
    ///
    /// One that is dropped without `close()` is rolled back in the background and reported.
    public func makeSession(
        options: SessionOptions? = nil, checkoutTimeout: Duration? = nil, file: StaticString = #fileID,
        line: UInt = #line
    ) -> sending Session {
        Session(SessionCore(self, options, checkoutTimeout, Origin(file: file, line: line)), mustBeClosed: true)
    }

    /// A raw connection, borrowed at once: autocommit, for CREATE DATABASE, VACUUM and the like.
    ///
    /// A transaction left open is rolled back before anybody else gets the connection.
    @discardableResult
    public func withConnection<R>(
        checkoutTimeout: Duration? = nil, file: StaticString = #fileID, line: UInt = #line,
        _ body: (sending Connection) async throws -> R
    ) async throws -> R {
        let core: ConnectionCore
        if let idle = try borrowIdle(Origin(file: file, line: line)) {
            core = idle
        } else {
            let now = ConnectionPool.now
            let deadline = pool.deadline(checkoutTimeout, since: now)
            let end = await pool.wait(since: now, until: deadline)
            if let granted = try borrow(end, Origin(file: file, line: line)) {
                core = granted
            } else {
                core = try await borrow(until: deadline, Origin(file: file, line: line))
            }
        }
        do {
            let result = try await body(Connection(core))
            if !giveBackAtOnce(core) { await giveBack(core) }
            return result
        } catch {
            await giveBack(core)
            throw error
        }
    }

    // Not inlined: what they have in hands would be part of the memory of each task that waits.

    @inline(never)
    private func borrowIdle(_ origin: Origin) throws -> ConnectionCore? {
        guard let lease = try pool.takeIdle(origin) else { return nil }
        return ConnectionCore(lease, of: self)
    }

    @inline(never)
    private func borrow(_ end: WaitEnd, _ origin: Origin) throws -> ConnectionCore? {
        guard let lease = try pool.settle(end, origin) else { return nil }
        return ConnectionCore(lease, of: self)
    }

    @inline(never)
    private func borrow(until deadline: PoolInstant, _ origin: Origin) async throws -> ConnectionCore {
        ConnectionCore(try await pool.checkout(until: deadline, origin: origin), of: self)
    }

    /// The ordinary end, which waits for nothing.
    private func giveBackAtOnce(_ core: ConnectionCore) -> Bool {
        guard core.lease.wire.transactionStatus == .idle, core.tryDetach() else { return false }
        pool.giveBack(core.lease, core.lease.connection.outcomeWhenIdle(configuration.pool.resetOnReturn))
        return true
    }

    @inline(never)
    private func giveBack(_ core: ConnectionCore) async {
        pool.giveBack(core.lease, await core.detach() ? await settle(core.lease) : .broken)
    }
}

extension RetryPolicy {
    /// Full jitter: anything from nothing to the ceiling, which doubles with each attempt and stays under two seconds.
    func pause(after attempt: Int) -> Duration {
        let longest = Duration.seconds(2)
        let ceiling = max(.zero, min(baseDelay, longest)) * Double(1 << min(attempt - 1, 16))
        return min(ceiling, longest) * Double.random(in: 0...1)
    }
}

/// Where in the user's code something was made.
struct Origin: Sendable, CustomStringConvertible {
    let file: StaticString
    let line: UInt
    var description: String { "\(file):\(line)" }
}

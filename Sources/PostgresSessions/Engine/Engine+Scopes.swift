internal import Logging
internal import PoolCore
internal import PostgresWire

// The scopes are inlined into their callers, so that a body is called as what it is. Through a generic function that was compiled by
// itself, each call of a body is a frame more, and two hops between executors: two fifths of a checkout.
extension Engine {
    /// One unit of work by hand, like SQLAlchemy's `with Session(engine)`: commit what shall stay; the rest is rolled
    /// back when the body returns or throws.
    ///
    /// Nothing is borrowed until the first statement. The body runs once, on the caller's actor.
    /// - Parameters:
    ///   - options: over the engine's.
    ///   - checkoutTimeout: over the pool's.
    /// - Throws: what the body throws, unchanged.
    @inlinable
    @discardableResult
    public func withSession<R>(
        options: SessionOptions? = nil, checkoutTimeout: Duration? = nil, file: StaticString = #fileID,
        line: UInt = #line, _ body: (sending Session) async throws -> R
    ) async throws -> R {
        let core = makeCore(options, checkoutTimeout, file, line)
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
    @inlinable
    @discardableResult
    public func withTransaction<R>(
        isolationLevel: IsolationLevel? = nil, accessMode: AccessMode? = nil, deferrable: Bool = false,
        retry: RetryPolicy = .never, options: SessionOptions? = nil, checkoutTimeout: Duration? = nil,
        file: StaticString = #fileID, line: UInt = #line, _ body: (sending Session) async throws -> R
    ) async throws -> R {
        var attempt = 1
        while true {
            let core = makeCore(options, checkoutTimeout, file, line)
            let scope = core.openTransaction(isolationLevel, accessMode, deferrable: deferrable)
            do {
                let result = try await body(Session(core, scope: scope))
                try await core.closeTransaction(scope)
                return result
            } catch {
                try await core.leaveTransaction(after: error, retry, attempt)
            }
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
        Session(makeCore(options, checkoutTimeout, file, line), mustBeClosed: true)
    }

    @usableFromInline
    func makeCore(
        _ options: SessionOptions?, _ checkoutTimeout: Duration?, _ file: StaticString, _ line: UInt
    ) -> SessionCore {
        SessionCore(self, options, checkoutTimeout, Origin(file: file, line: line))
    }

    /// A raw connection, borrowed at once: autocommit, for CREATE DATABASE, VACUUM and the like.
    ///
    /// A transaction left open is rolled back before anybody else gets the connection.
    @inlinable
    @discardableResult
    public func withConnection<R>(
        checkoutTimeout: Duration? = nil, file: StaticString = #fileID, line: UInt = #line,
        _ body: (sending Connection) async throws -> R
    ) async throws -> R {
        let core: ConnectionCore
        if let idle = try borrowIdle(file, line) {
            core = idle
        } else {
            core = try await borrow(within: checkoutTimeout, file, line)
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

    @usableFromInline
    func borrowIdle(_ file: StaticString, _ line: UInt) throws -> ConnectionCore? {
        guard let lease = try pool.takeIdle(Origin(file: file, line: line)) else { return nil }
        return ConnectionCore(lease, of: self)
    }

    @usableFromInline
    func borrow(
        within checkoutTimeout: Duration?, _ file: StaticString, _ line: UInt
    ) async throws -> ConnectionCore {
        let now = ConnectionPool.now
        let deadline = pool.deadline(checkoutTimeout, since: now)
        let end = await pool.wait(since: now, until: deadline)
        if let core = try borrow(end, Origin(file: file, line: line)) { return core }
        return try await borrow(until: deadline, Origin(file: file, line: line))
    }

    // Not inlined: what they have in hands would be part of the memory of each task that waits.

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
    @usableFromInline
    func giveBackAtOnce(_ core: ConnectionCore) -> Bool {
        guard core.lease.wire.transactionStatus == .idle, core.tryDetach() else { return false }
        pool.giveBack(core.lease, core.lease.connection.outcomeWhenIdle(configuration.pool.resetOnReturn))
        return true
    }

    @usableFromInline
    func giveBack(_ core: ConnectionCore) async {
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

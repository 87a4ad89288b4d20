internal import Logging
internal import PostgresWire
internal import Synchronization

extension Engine {
    /// Notifications of a channel as they come, on a connection of its own that is not the pool's.
    ///
    /// When the connection is lost, it is made again with growing pauses, and the first element after that says `isGap`:
    /// whatever was sent meanwhile is lost, so look at the tables. Ends when the engine is shut down; leave the loop, or cancel
    /// its task, to end it earlier.
    ///
    /// LISTEN is said when the loop begins. With `startsWithGap`, the first element says `isGap` too, as soon as the server listens: who
    /// looks at the tables then, as after every gap, misses nothing that was sent before.
    ///
    /// Through a pooler in transaction mode nothing arrives: listen on an engine whose URL leads to the server itself.
    public func listen(on channel: String, startsWithGap: Bool = false) -> ChannelNotifications {
        listen(on: [channel], startsWithGap: startsWithGap)
    }

    /// As the other `listen`, on several channels over one connection. A gap is told for each of them.
    public func listen(on channels: [String], startsWithGap: Bool = false) -> ChannelNotifications {
        ChannelNotifications(engine: self, channels: channels, startsWithGap: startsWithGap)
    }
}

/// What somebody's NOTIFY said.
public struct ChannelNotification: Sendable, Hashable {
    public let channel: String
    public let payload: String
    /// The server process that sent it.
    public let processID: Int
    /// Not a notification: from here on the server listens. The connection was lost and made again, and notifications in between
    /// were missed; or it is the first one.
    public let isGap: Bool
}

/// The notifications of some channels. Each loop has a connection of its own.
public struct ChannelNotifications: AsyncSequence, Sendable {
    public typealias Element = ChannelNotification
    let engine: Engine
    let channels: [String]
    let startsWithGap: Bool

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(engine, channels, startsWithGap: startsWithGap) }

    public final class AsyncIterator: AsyncIteratorProtocol {
        private let engine: Engine
        private let channels: [String]
        private var connection: PhysicalConnection?
        /// A slice, whose first element is taken without moving the others.
        private var pending: ArraySlice<ChannelNotification> = []
        private var hasConnected = false
        private let startsWithGap: Bool
        private var failures = 0

        init(_ engine: Engine, _ channels: [String], startsWithGap: Bool) {
            (self.engine, self.channels, self.startsWithGap) = (engine, channels, startsWithGap)
        }

        deinit { close() }

        public func next() async throws -> ChannelNotification? { try await next(isolation: #isolation) }

        public func next(isolation actor: isolated (any Actor)?) async throws -> ChannelNotification? {
            while true {
                if let next = pending.popFirst() { return next }
                try Task.checkCancellation()
                guard !engine.pool.isShutDown else {
                    close()
                    return nil
                }
                guard let connection else {
                    try await connect()
                    continue
                }
                await wait(connection)
            }
        }

        private func close() {
            guard let connection else { return }
            engine.pool.forgetListener(connection.wire)
            connection.wire.closeNow()
            self.connection = nil
            for observer in engine.configuration.observers { observer.didClose(connection.info) }
        }

        /// Wakes at least once a second, to hear of the engine's shutdown.
        private func wait(_ connection: PhysicalConnection) async {
            let wire = connection.wire
            await withTaskCancellationHandler {
                await wire.waitForNews(until: Monotonic.now.advanced(by: .seconds(1)))
            } onCancel: {
                wire.interrupt()
            }
            pending += wire.takeNotifications().map {
                ChannelNotification(
                    channel: $0.channel, payload: $0.payload, processID: Int($0.processID), isGap: false)
            }
            if wire.isBroken { close() }
        }

        private func connect() async throws {
            do {
                let commands = try channels.map { "LISTEN \(unsafeRaw: try SQLIdentifier.quoted($0))" as SQLQuery }
                let connector = engine.pool.connector
                let made = try await connector.connect(connector.request {})
                connection = made
                guard engine.pool.noteListener(made.wire) else { return close() }
                do {
                    try await say(commands, on: made)
                } catch {
                    close()
                    throw error
                }
                failures = 0
                if hasConnected || startsWithGap {
                    pending += channels.map { ChannelNotification(channel: $0, payload: "", processID: 0, isGap: true) }
                }
                hasConnected = true
            } catch {
                guard hasConnected else { throw described(error) }
                failures += 1
                engine.logger.debug("LISTEN lost its connection", metadata: ["attempt": "\(failures)"])
                let ceiling = Duration.milliseconds(Swift.min(5000, 50 << Swift.min(failures, 7)))
                try await Task.sleep(for: ceiling * Double.random(in: 0.5...1))
            }
        }

        private func say(_ commands: [SQLQuery], on connection: PhysicalConnection) async throws {
            guard let last = commands.last else { throw SQLValueError("there is none") }
            let limits = FlightLimits(hard: Monotonic.now.advanced(by: .seconds(10)), isInterruptible: false)
            let outcome = try await connection.fly(
                Flight(leading: commands.dropLast(), statement: last, limits: limits, isOwn: true, isUnnamed: true))
            if let failure = outcome.failure { throw ServerError(failure, query: outcome.refused) }
        }

        /// The first connection's failure is the caller's to know.
        private func described(_ error: any Error) -> any Error {
            switch error {
            case let failure as WireConnectFailure: EngineError.connectFailed(ConnectFailure(failure))
            case let failure as ConnectFailure: EngineError.connectFailed(failure)
            case let failure as WireError: EngineError(failure)
            case let failure as SQLValueError: EngineError.encoding("the channel's name: \(failure.reason)")
            default: error
            }
        }
    }
}

extension ConnectionPool {
    /// False: the engine has been shut down meanwhile.
    fileprivate func noteListener(_ wire: WireConnection) -> Bool {
        state.withLock { state in
            guard !state.isShuttingDown else { return false }
            state.listeners[ObjectIdentifier(wire)] = wire
            return true
        }
    }

    fileprivate func forgetListener(_ wire: WireConnection) {
        state.withLock { _ = $0.listeners.removeValue(forKey: ObjectIdentifier(wire)) }
    }
}

@available(*, unavailable, message: "an iterator belongs to one task")
extension ChannelNotifications.AsyncIterator: Sendable {}

internal import Logging
internal import PoolCore
internal import PostgresWire

/// Makes physical connections as the engine's configuration says, and tells the observers.
struct Connector: Sendable {
    let parameters: ConnectionParameters
    let timeout: Duration
    let credentials: (@Sendable () async throws -> Credentials)?
    let statementCacheSize: Int
    let observers: [any EngineObserver]
    let session: SessionOptions
    let isSandbox: Bool
    let remembersStatement: Bool
    let logger: Logger
    private let firstConnect = FirstConnect()
    private let staleTexts = StaleTexts()
    let types = TypeCatalogs()

    init(_ configuration: Engine.Configuration) throws(EngineError) {
        do throws(WireConnectFailure) {
            var parameters = try ConnectionParameters(parsing: configuration.url)
            let settings = configuration.settings.map { name, value in
                "-c \(name)=\(value.split(separator: " ").joined(separator: "\\ "))"
            }
            if !settings.isEmpty {
                let given = parameters.resolved("options").map { [$0] } ?? []
                parameters["options"] = (given + settings).joined(separator: " ")
            }
            self.parameters = parameters
        } catch {
            throw .invalidConfiguration(error.message)
        }
        timeout = configuration.pool.connectTimeout
        credentials = configuration.credentials
        statementCacheSize = configuration.statementCacheSize
        observers = configuration.observers
        session = configuration.session
        isSandbox = configuration.isSandbox
        remembersStatement = configuration.pool.leakDetectionThreshold != nil
        logger = configuration.logger
    }

    /// A request that is not under way yet. `onEnd` is called when the connection's socket ends while it is parked.
    func request(onEnd: @escaping @Sendable () -> Void) -> ConnectRequest {
        ConnectRequest(parameters, timeout: timeout, onNotice: { [logger] in logger.log($0) }, onEnd: onEnd)
    }

    /// A connection on which the observers' hooks have run. They, and the credentials, may take as long as an address.
    func connect(_ request: ConnectRequest) async throws -> PhysicalConnection {
        if let credentials {
            let given = try await BoundedWait.run("the credentials", within: timeout, of: request, credentials)
            request.use(user: given.user, password: given.password)
        }
        let wire = try await request.run()
        let connection = PhysicalConnection(
            wire, statementCacheSize: statementCacheSize, staleTexts, types.catalog(of: wire.target),
            remembersStatement: remembersStatement)
        guard !observers.isEmpty || isSandbox else { return connection }
        // A hook that does not end keeps libpq's handle: its socket is ended, and the handle is freed when it lets go.
        return try await BoundedWait.run(
            "a connect hook", within: timeout, of: request, onLeaving: { connection.wire.sever() },
            late: { $0.wire.closeNow() },
            {
                do {
                    if !observers.isEmpty { try await runHooks(connection) }
                    if isSandbox { try await enterSandbox(connection) }
                } catch {
                    connection.wire.closeNow()
                    throw error
                }
                return connection
            })
    }

    private func runHooks(_ connection: PhysicalConnection) async throws {
        try await firstConnect.run { try await hook(connection) { try await $0.onFirstConnect($1) } }
        try await hook(connection) { try await $0.onConnect($1) }
    }

    /// False: the connection is not usable. Waits for the hooks' end, for they use the connection until then.
    func runHooksAgain(_ connection: PhysicalConnection) async -> Bool {
        let work = Task.detached(executorPreference: EventLoops.shared) {
            try await hook(connection) { try await $0.onConnect($1) }
        }
        let timer = EventLoops.shared.schedule(at: Monotonic.now.advanced(by: timeout)) { work.cancel() }
        defer { EventLoops.shared.cancel(timer) }
        return (try? await work.value) != nil
    }

    /// What is committed in a sandbox is a savepoint of this transaction.
    private func enterSandbox(_ connection: PhysicalConnection) async throws {
        guard await connection.run(["BEGIN"], within: ConnectionPool.housekeepingTimeout) else {
            throw ConnectFailure(message: "the sandbox's transaction could not be begun")
        }
        connection.cache.isInSandbox = true
    }

    private func hook(
        _ connection: PhysicalConnection, _ call: (any EngineObserver, sending Connection) async throws -> Void
    ) async throws {
        for observer in observers {
            let core = ConnectionCore(making: connection, session)
            try await call(observer, Connection(core))
            guard await core.detach(), await connection.rollBack(within: ConnectionPool.housekeepingTimeout) else {
                throw ConnectFailure(message: "a connect hook left the connection unusable")
            }
        }
        connection.adoptLeftovers()
    }

    /// What the failure was, for errors and observers, and whether time alone may heal it.
    func describe(_ error: any Error) -> (ConnectFailure, ConnectFailureClass) {
        let isPermanent = (error as? WireConnectFailure).map { [.authentication, .configuration].contains($0.reason) }
        let failure =
            switch error {
            case let failure as WireConnectFailure: ConnectFailure(failure)
            case let failure as ConnectFailure: failure
            default: ConnectFailure(message: "credentials or a connect hook threw \(type(of: error)): \(error)")
            }
        for observer in observers { observer.didFailToConnect(failure) }
        return (failure, isPermanent == true ? .permanent : .transient)
    }

    func noteCheckIn(_ connection: PhysicalConnection) {
        for observer in observers { observer.didCheckIn(connection.info) }
    }

    func reportLeak(_ connection: PhysicalConnection, _ origin: Origin?) {
        let (origin, statement) = (origin.map { "\($0)" } ?? "unknown", connection.lastStatement?.text)
        logger.warning(
            "a connection has been lent for longer than the leak threshold",
            metadata: ["pg.session.origin": "\(origin)", "db.query.text": "\(statement ?? "")"])
        for observer in observers {
            observer.didSuspectLeak(connection.info, origin: origin, lastStatement: statement)
        }
    }
}

/// Runs something until it has succeeded once; others wait for whoever is at it, unless he has been cancelled.
actor FirstConnect {
    private var isDone = false
    private var serial = 0
    /// Whose turn it is.
    private var runner: Int?
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func run(_ body: @Sendable () async throws -> Void) async throws {
        while runner != nil { await withCheckedContinuation { waiting.append($0) } }
        guard !isDone else { return }
        serial += 1
        let turn = serial
        runner = turn
        defer { end(turn) }
        try await withTaskCancellationHandler {
            try await body()
        } onCancel: {
            // He may never come back.
            Task { await end(turn) }
        }
        isDone = true
    }

    private func end(_ turn: Int) {
        guard runner == turn else { return }
        runner = nil
        for waiter in waiting { waiter.resume() }
        waiting = []
    }
}

extension ConnectFailure {
    init(_ failure: WireConnectFailure) {
        self.init(
            message: failure.target.isEmpty ? failure.message : "\(failure.target): \(failure.message)",
            sqlState: failure.sqlState.map { SQLState($0) }, timedOut: failure.reason == .timedOut)
    }
}

extension Logger {
    /// A server's NOTICE or WARNING.
    func log(_ notice: WireServerError) {
        let level: Logger.Level =
            switch notice.severity {
            case "WARNING": .warning
            case "NOTICE", "INFO": .info
            default: .debug
            }
        log(level: level, "\(notice.message)", metadata: ["db.response.status_code": "\(notice.sqlState)"])
    }
}

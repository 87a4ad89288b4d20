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
    let logger: Logger

    init(_ configuration: Engine.Configuration) throws(EngineError) {
        do throws(WireConnectFailure) {
            var parameters = try ConnectionParameters(parsing: configuration.url)
            let timeouts = configuration.session.timeouts.map { "-c \($0.name)=\($0.value)" }
            if !timeouts.isEmpty {
                let given = parameters.resolved("options").map { [$0] } ?? []
                parameters["options"] = (given + timeouts).joined(separator: " ")
            }
            self.parameters = parameters
        } catch {
            throw .invalidConfiguration(error.message)
        }
        timeout = configuration.pool.connectTimeout
        credentials = configuration.credentials
        statementCacheSize = configuration.statementCacheSize
        observers = configuration.observers
        logger = configuration.logger
    }

    /// A request that is not under way yet. `onEnd` is called when the connection's socket ends while it is parked.
    func request(onEnd: @escaping @Sendable () -> Void) -> ConnectRequest {
        ConnectRequest(parameters, timeout: timeout, onNotice: { [logger] in logger.log($0) }, onEnd: onEnd)
    }

    func connect(_ request: ConnectRequest) async throws -> WireConnection {
        if let credentials {
            let given = try await credentials()
            request.use(user: given.user, password: given.password)
        }
        let wire = try await request.run()
        for observer in observers { observer.didConnect(processID: Int(wire.processID)) }
        return wire
    }

    /// What the failure was, for errors and observers.
    func describe(_ error: any Error) -> ConnectFailure {
        let failure =
            switch error {
            case let failure as WireConnectFailure: ConnectFailure(failure)
            case let failure as ConnectFailure: failure
            default: ConnectFailure(message: "credentials: \(type(of: error))")
            }
        for observer in observers { observer.didFailToConnect(failure) }
        return failure
    }

    func didClose(_ wire: WireConnection, _ reason: CloseReason) {
        for observer in observers { observer.didClose(processID: Int(wire.processID), reason: "\(reason)") }
    }
}

extension ConnectFailure {
    init(_ failure: WireConnectFailure) {
        self.init(
            message: failure.target.isEmpty ? failure.message : "\(failure.target): \(failure.message)",
            sqlState: failure.sqlState.map { SQLState($0) }, timedOut: failure.reason == .timedOut)
    }

    /// Whether time alone may heal it.
    var failureClass: ConnectFailureClass {
        guard let sqlState else { return .transient }
        let code = sqlState.description
        return code.hasPrefix("28") || code == "3D000" || code == "42501" ? .permanent : .transient
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

/// Why a connection could not be made. Never holds a password.
public struct ConnectFailure: Error, Hashable, Sendable {
    /// What libpq or the server said, in one line.
    public let message: String
    /// The server's code, when a server answered: `.invalidPassword`, `.tooManyConnections` …
    public let sqlState: SQLState?
    /// The host that was tried last, as it was configured.
    public let host: String?
    /// The port that was tried last.
    public let port: Int?
    /// Whether the attempt ended because its time was up.
    public let timedOut: Bool

    package init(
        message: String, sqlState: SQLState? = nil, host: String? = nil, port: Int? = nil, timedOut: Bool = false
    ) {
        self.message = message
        self.sqlState = sqlState
        self.host = host
        self.port = port
        self.timedOut = timedOut
    }
}

extension ConnectFailure: CustomStringConvertible {
    public var description: String {
        var text = message
        if let host { text += " (host \(host)\(port.map { ", port \($0)" } ?? ""))" }
        if let sqlState { text += " [\(sqlState)]" }
        if timedOut { text += " (timed out)" }
        return text
    }
}

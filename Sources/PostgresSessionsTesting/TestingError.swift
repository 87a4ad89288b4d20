/// What can go wrong around a test's server or proxy. No description holds a password.
@nonexhaustive
public enum TestingError: Error, Sendable, CustomStringConvertible {
    /// No folder of the system holds both `initdb` and `postgres`. The payload says where they were looked for.
    case postgresNotFound(searched: [String])
    /// PostgreSQL refuses to run as root, and there is no way to become another user.
    case cannotLeaveRoot(String)
    /// A program ended with another status than 0.
    case commandFailed(command: String, status: Int32, output: String)
    /// The server ended, or did not become ready, within the time given. The payload is the end of its log.
    case serverDidNotStart(reason: String, log: String)
    /// The server was still running when the time given for its shutdown was over.
    case serverDidNotStop(waited: Duration)
    /// The server has been stopped for good.
    case serverStopped
    /// The URL is not one that a proxy can stand in front of.
    case unsupportedURL(String)
    /// The proxy's target has no address.
    case hostNotFound(host: String, reason: String)
    /// A call to the operating system failed.
    case systemCall(String, Int32)

    public var description: String {
        switch self {
        case .postgresNotFound(let searched):
            """
            PostgreSQL's initdb and postgres were not found. Install the server: apt-get install postgresql \
            (Debian, Ubuntu), dnf install postgresql-server (Fedora, RHEL), apk add postgresql (Alpine), \
            brew install postgresql (macOS). Searched: \(searched.joined(separator: ", "))
            """
        case .cannotLeaveRoot(let reason):
            "PostgreSQL does not run as root, and no other user could be taken: \(reason)"
        case .commandFailed(let command, let status, let output):
            "\(command) ended with status \(status): \(output)"
        case .serverDidNotStart(let reason, let log):
            "the PostgreSQL server did not start: \(reason)\n\(log)"
        case .serverDidNotStop(let waited):
            "the PostgreSQL server was still running \(waited) after it was asked to shut down"
        case .serverStopped:
            "the PostgreSQL server has been stopped, and its folder is gone"
        case .unsupportedURL(let reason):
            "FaultProxy cannot stand in front of this URL: \(reason)"
        case .hostNotFound(let host, let reason):
            "the address of host \(host) was not found: \(reason)"
        case .systemCall(let name, let number):
            "\(name) failed: \(describe(errno: number))"
        }
    }
}

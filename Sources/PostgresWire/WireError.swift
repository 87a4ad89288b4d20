/// What the server said of a failure, field by field.
package struct WireServerError: Sendable {
    package var severity = ""
    package var sqlState = ""
    package var message = ""
    package var detail: String?
    package var hint: String?
    package var position: Int?
    package var context: String?
    package var schema: String?
    package var table: String?
    package var column: String?
    package var dataType: String?
    package var constraint: String?

    package init() {}

    package init(severity: String, message: String) {
        self.severity = severity
        self.message = message
    }

    /// The backend ends after this.
    package var isFatal: Bool { severity == "FATAL" || severity == "PANIC" }
}

/// Why a conversation with the server could not be had. What the server itself refuses is a reply, not an error.
package enum WireError: Error, Sendable {
    /// The connection is gone; libpq's words, and the server's last ones where it had any.
    case lost(String, WireServerError?)
    /// A wait that has a deadline of its own took longer. The connection is unusable.
    case timedOut(String)
    /// libpq refused the call: too many parameters, out of memory. The connection is still good when `isUsable` says so.
    case refused(String)
}

/// Why a physical connection could not be made.
package struct WireConnectFailure: Error, Sendable {
    package enum Reason: Sendable, Hashable {
        case nameResolution, refused, timedOut, authentication, server, tls, wrongRole, lost, cancelled, configuration
    }

    package var reason: Reason
    /// Host and port as configured, or the socket's folder.
    package var target: String
    package var message: String
    /// Five characters where the server answered, else nil.
    package var sqlState: String?

    package init(reason: Reason, target: String, message: String, sqlState: String? = nil) {
        self.reason = reason
        self.target = target
        self.message = message
        self.sqlState = sqlState
    }
}

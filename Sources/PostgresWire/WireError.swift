internal import CLibPQ

/// What the server said of a failure, field by field.
package final class WireServerError: Error {
    package let severity: String
    package let sqlState: String
    package let message: String
    package let detail: String?
    package let hint: String?
    package let position: Int?
    package let context: String?
    package let schema: String?
    package let table: String?
    package let column: String?
    package let dataType: String?
    package let constraint: String?
    /// The server's own function that reported it: the same in every language.
    package let routine: String?

    /// Of our own making, in the server's name.
    package init(severity: String, message: String, sqlState: String = "") {
        (self.severity, self.message, self.sqlState) = (severity, message, sqlState)
        (detail, hint, position, context, schema, table, column) = (nil, nil, nil, nil, nil, nil, nil)
        (dataType, constraint, routine) = (nil, nil, nil)
    }

    /// Reads the fields of an error or notice.
    init(_ result: OpaquePointer?) {
        func field(_ code: some BinaryInteger) -> String? {
            PQresultErrorField(result, Int32(code)).map { String(cString: $0) }
        }
        severity = field(CPQ_DIAG_SEVERITY) ?? field(CPQ_DIAG_SEVERITY_LOCALIZED) ?? ""
        sqlState = field(CPQ_DIAG_SQLSTATE) ?? ""
        message = field(CPQ_DIAG_MESSAGE) ?? PQresultErrorMessage(result).map { oneLine($0) } ?? ""
        detail = field(CPQ_DIAG_DETAIL)
        hint = field(CPQ_DIAG_HINT)
        position = field(CPQ_DIAG_POSITION).flatMap { Int($0) }
        context = field(CPQ_DIAG_CONTEXT)
        schema = field(CPQ_DIAG_SCHEMA)
        table = field(CPQ_DIAG_TABLE)
        column = field(CPQ_DIAG_COLUMN)
        dataType = field(CPQ_DIAG_DATATYPE)
        constraint = field(CPQ_DIAG_CONSTRAINT)
        routine = field(CPQ_DIAG_ROUTINE)
    }

    /// The backend ends after this.
    package var isFatal: Bool { severity == "FATAL" || severity == "PANIC" }
}

/// Why a conversation with the server could not be had. What the server itself refuses is a reply, not an error.
package enum WireError: Error, Sendable {
    /// The connection is gone; libpq's words, and the server's last ones where it had any.
    case lost(String, WireServerError?)
    /// The connection is gone, and by our own hand: the engine was shut down.
    case shutDown
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

/// libpq ends its messages with a newline, and some have several lines.
func oneLine(_ message: UnsafePointer<CChar>) -> String {
    String(cString: message).split { $0.isNewline || $0 == "\t" }.joined(separator: " ")
}

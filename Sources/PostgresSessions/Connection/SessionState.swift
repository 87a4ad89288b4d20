/// What statements may leave behind in a connection's session, beyond their transaction.
///
/// Read off a statement's words, once per prepared statement. It errs on the side of cleaning; what a function or a DO block
/// does inside the server is not seen: use `resetOnReturn: .discardAll` where that matters.
struct SessionState: OptionSet, Sendable {
    let rawValue: UInt8
    static let settings = SessionState(rawValue: 1)
    static let listens = SessionState(rawValue: 2)
    static let temporaryTables = SessionState(rawValue: 4)
    static let advisoryLocks = SessionState(rawValue: 8)
    static let cursors = SessionState(rawValue: 16)
    static let preparedStatements = SessionState(rawValue: 32)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// What this statement may leave behind.
    init(leftBy text: String) {
        self = []
        let text = text.lowercased()
        let words = text.split(maxSplits: 2, whereSeparator: \.isWhitespace)
        let second = words.count > 1 ? words[1] : ""
        switch words.first {
        case "set": if !["local", "transaction", "constraints"].contains(second) { insert(.settings) }
        case "listen": insert(.listens)
        case "create": if text.contains(" temp") { insert(.temporaryTables) }
        case "prepare": if second != "transaction" { insert(.preparedStatements) }
        case "deallocate", "discard": insert(.preparedStatements)
        case "declare": if text.contains("with hold") { insert(.cursors) }
        default: if text.contains("into temp") { insert(.temporaryTables) }
        }
        if text.contains("set_config(") { insert(.settings) }
        if text.contains("advisory_lock") { insert(.advisoryLocks) }
    }

    /// The statements that undo it, to be sent outside a transaction, in one flight.
    var remedies: [SQLQuery] {
        var commands: [SQLQuery] = []
        if contains(.cursors) { commands.append("CLOSE ALL") }
        if contains(.listens) { commands.append("UNLISTEN *") }
        if contains(.advisoryLocks) { commands.append("SELECT pg_advisory_unlock_all()") }
        if contains(.settings) { commands += ["SET SESSION AUTHORIZATION DEFAULT", "RESET ALL"] }
        if contains(.temporaryTables) { commands.append("DISCARD TEMP") }
        if contains(.preparedStatements) { commands.append("DEALLOCATE ALL") }
        return commands
    }
}

/// What statements may leave behind in a connection's session, beyond their transaction, or take away of what connect hooks made.
///
/// Read off a statement's words, once per prepared statement. It errs on the side of cleaning; what a function or procedure
/// does inside the server is not seen: use `resetOnReturn: .discardAll` where that matters.
struct SessionState: OptionSet, Sendable {
    let rawValue: UInt8
    static let settings = SessionState(rawValue: 1)
    static let listens = SessionState(rawValue: 2)
    static let temporaryTables = SessionState(rawValue: 4)
    static let advisoryLocks = SessionState(rawValue: 8)
    static let cursors = SessionState(rawValue: 16)
    static let preparedStatements = SessionState(rawValue: 32)
    static let everything = SessionState(rawValue: 63)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// What a statement in lower case may leave behind whose first word was taken from its words.
    fileprivate init(leftBy text: String, _ first: String, _ words: inout LeadingWords) {
        self = []
        switch first {
        case "set": if !["local", "transaction", "constraints"].contains(words.next()) { insert(.settings) }
        case "reset": insert(.settings)
        case "update": if text.contains("pg_settings") { insert(.settings) }
        case "listen", "unlisten": insert(.listens)
        case "create", "explain": if text.contains("temp") { insert(.temporaryTables) }
        case "drop": insert(.temporaryTables)
        case "prepare": if words.next() != "transaction" { insert(.preparedStatements) }
        case "deallocate": insert(.preparedStatements)
        case "declare": if words.contain("hold", before: "for") { insert(.cursors) }
        case "close": insert(.cursors)
        case "discard": formUnion(.everything)
        case "do":
            // A block may put the words together that it executes.
            formUnion(.everything)
            if !text.contains("execute") && !text.contains("prepare") { remove(.preparedStatements) }
        case "insert", "delete", "merge": break
        default: if text.contains("temp") && text.contains("into") { insert(.temporaryTables) }
        }
        if text.contains("set_config") { insert(.settings) }
        if text.contains("advisory_lock") || text.contains("advisory_unlock") { insert(.advisoryLocks) }
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

/// What the words of a statement tell of it before it is sent.
struct StatementTraits {
    /// What each execution may leave in the session.
    let leaves: SessionState
    /// Whether the columns of others that are prepared may be out of date after it.
    let altersTables: Bool
    /// Why it cannot be said, if it cannot.
    let refusal: String?

    init(of text: String, inSandbox: Bool) {
        let text = text.lowercased()
        var words = LeadingWords(text)
        let first = words.next()
        altersTables = first == "alter"
        if first == "copy" && (text.contains("stdin") || text.contains("stdout")) {
            // A conversation that a flight cannot have.
            refusal = "COPY from STDIN or to STDOUT goes through copyIn and copyOut"
        } else if inSandbox && Self.endsTransaction(first, words) {
            refusal =
                "a sandbox's transaction is not ended by a statement's text: use the session's commit() and rollback()"
        } else {
            refusal = Self.changesEncoding(text, first, words) ? Self.encodingStays : nil
        }
        leaves = SessionState(leftBy: text, first, &words)
    }

    static let encodingStays = "client_encoding stays UTF8: what goes to the server and comes from it is Swift's text"

    private static func endsTransaction(_ first: String, _ words: LeadingWords) -> Bool {
        var words = words
        switch first {
        case "commit", "end", "abort": return words.next() != "prepared"
        case "prepare": return words.next() == "transaction"
        case "rollback":
            let second = words.next()
            let isLong = ["work", "transaction"].contains(second)
            return !["to", "prepared"].contains(isLong ? words.next() : second)
        default: return false
        }
    }

    /// All text of the connection would be misread.
    private static func changesEncoding(_ text: String, _ first: String, _ words: LeadingWords) -> Bool {
        var words = words
        let second = first == "set" ? words.next() : ""
        let isSet = first == "set" && (second == "names" || text.contains("client_encoding"))
        let isMeant = isSet || text.contains("client_encoding") && (text.contains("set_config") || first == "update")
        return isMeant && !["utf8", "utf-8", "unicode", "default"].contains { text.contains($0) }
    }
}

/// The words that a statement in lower case begins with, past space, parentheses, empty statements and comments, which a query's tags
/// are written in. A quoted name is a word with its quotes.
struct LeadingWords {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = text[...].utf8 }

    mutating func next() -> String {
        skipComments()
        let word = rest.first == Self.quote ? quoted : rest.prefix(while: Self.isOfWord)
        rest = rest.dropFirst(word.count)
        return String(Substring(word))
    }

    private static let quote = UInt8(ascii: "\"")

    private var quoted: Substring.UTF8View {
        guard let end = rest.dropFirst().firstIndex(of: Self.quote) else { return rest }
        return rest[...end]
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...: true
        default: byte == UInt8(ascii: "_") || byte == UInt8(ascii: "$")
        }
    }

    mutating func contain(_ wanted: String, before end: String) -> Bool {
        while true {
            let word = next()
            if word == wanted { return true }
            if word == end || word.isEmpty { return false }
        }
    }

    private mutating func skipComments() {
        while let byte = rest.first {
            if byte <= 0x20 || byte == UInt8(ascii: "(") || byte == UInt8(ascii: ";") {
                rest = rest.dropFirst()
            } else if rest.starts(with: "--".utf8) {
                rest = rest.drop { $0 != 0x0A && $0 != 0x0D }
            } else if rest.starts(with: "/*".utf8) {
                skipBlockComment()
            } else {
                return
            }
        }
    }

    /// They nest: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS
    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            let isOpening = rest.starts(with: "/*".utf8)
            let isClosing = rest.starts(with: "*/".utf8)
            depth += isOpening ? 1 : isClosing ? -1 : 0
            rest = rest.dropFirst(isOpening || isClosing ? 2 : 1)
        } while depth > 0 && !rest.isEmpty
    }
}

/// A moment in a client's conversation with a server at which a script may intervene.
enum Stage: Hashable, Sendable {
    /// A startup packet has come.
    case connect
    /// A Sync with nothing before it.
    case ping
    /// A statement is to be executed. In a script: one whose text contains this.
    case statement(String)
    /// A cancel request has come, on a connection of its own.
    case cancel

    /// Whether a script's stage means this moment.
    func means(_ moment: Stage) -> Bool {
        if case .statement(let part) = self, case .statement(let text) = moment { return text.contains(part) }
        return self == moment
    }
}

/// What a server does instead of, or around, its ordinary answer.
enum Reaction: Hashable, Sendable {
    case ok
    case error(String)
    /// Says why, and closes.
    case fatal(String)
    /// The ordinary answer, later.
    case slow(milliseconds: Int)
    /// The ordinary answer, once the test releases it.
    case hold
    /// This error, once the test releases it.
    case holdThenError(String)
    /// Closes without a word.
    case cut
    case garbage
    /// These bytes in place of an answer, and nothing more.
    case only([UInt8])
    /// The ordinary answer, then these bytes ahead of whatever follows.
    case okThen([UInt8])
    /// The ordinary answer but for its end: in place of ReadyForQuery, these bytes, and the connection is closed.
    case okThenClose([UInt8])
    /// The ordinary answer, and from then on this transaction status.
    case okLeaving(status: UInt8)
}

/// One line of a script: at this stage, this reaction, so often.
struct Rule: Sendable {
    var stage: Stage
    var reaction: Reaction
    var times: Int
}

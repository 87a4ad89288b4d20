internal import PostgresWire

/// What one flight to the server says: commands in order, answered in order, one round trip.
struct Flight {
    /// The library's own words ahead of the statement: BEGIN, SET LOCAL, SAVEPOINT. Mostly empty.
    var leading: [SQLQuery] = []
    var statement: SQLQuery
    /// More statements of the same flight. Mostly none.
    var further: [SQLQuery] = []
    /// Still more, which come as they are said, behind the statement.
    var feed: StatementFeed?
    /// COMMIT, where the statement was declared to be the last.
    var trailing: SQLQuery?
    var limits = FlightLimits()
    /// The statement is the library's own too: it leaves nothing behind in the session.
    var isOwn = false
    /// Nothing is prepared for later: FETCH changes its columns from cursor to cursor.
    var isUnnamed = false
    /// The statement is not executed: its result says what its columns would be.
    var onlyDescribes = false
    /// The text of the cursor whose rows it fetches: they come as text where one of its columns has no binary form.
    var cursor: [UInt8]?
    /// Have the server say something before it looks at the statement, within this time, or hold the connection for dead.
    var livenessTimeout: Duration?
    /// Where the statement's rows may go as they come.
    var rows: (any TypedRowSink)?

    /// Whether a statement of the user's own text would commit.
    var hasTextOfCommit: Bool {
        !isOwn && (statement.wouldCommit || further.contains { $0.wouldCommit } || feed?.hasTextOfCommit == true)
    }
}

/// What came of a flight whose connection survived it.
///
/// A failure makes the server skip the rest of the flight, so one number says how far it got.
struct FlightOutcome {
    /// Commands that were completed, from the first on.
    var completed = 0
    /// How many statements the feed had.
    var fed = 0
    /// The flight was interrupted; the statement may still have completed.
    var interruption: WireConnection.Interruption?
    /// The statement's result. A feed takes those of its batch.
    var result: WireResult?
    /// Most flights have none of it, and an outcome is handed on from function to function.
    private var more: More?

    private final class More {
        var failure: WireServerError?
        var refused: [UInt8] = []
        var isStale = false
        var further: [WireResult] = []
        var trailing: WireResult?
        var end: TransactionEnd?
        var hasCommitted = false
        var hasGoneBack = false

        init() {}

        init(_ other: More) {
            (failure, refused, further, trailing) = (other.failure, other.refused, other.further, other.trailing)
            (end, hasCommitted, hasGoneBack) = (other.end, other.hasCommitted, other.hasGoneBack)
            isStale = other.isStale
        }
    }

    private mutating func own() -> More {
        if let more, isKnownUniquelyReferenced(&self.more) { return more }
        let own = more.map { More($0) } ?? More()
        more = own
        return own
    }

    /// Why the next command was not completed.
    var failure: WireServerError? { more?.failure }
    /// The text of that one.
    var refused: String { String(decoding: more?.refused ?? [], as: UTF8.self) }
    /// It failed as it was prepared, and may not when it is prepared anew, or asked for as text.
    var isStale: Bool { more?.isStale ?? false }
    /// The further statements' results.
    var further: [WireResult] { more?.further ?? [] }
    /// The trailing command's result.
    var trailing: WireResult? { more?.trailing }
    /// How the transaction was ended by the text of the user's statements, the first time.
    var end: TransactionEnd? { more?.end }
    /// Whether one of those ends was a COMMIT.
    var hasCommitted: Bool { more?.hasCommitted ?? false }
    /// Whether a text has rolled back to a savepoint.
    var hasGoneBack: Bool { more?.hasGoneBack ?? false }

    /// Only the first counts: what comes after it was not executed.
    mutating func fail(_ failure: WireServerError, _ text: [UInt8], isStale: Bool = false) {
        guard self.failure == nil else { return }
        let more = own()
        more.failure = failure
        more.refused = text
        more.isStale = isStale
    }

    mutating func takeLastFurther() -> WireResult? { own().further.popLast() }

    /// Puts the result of the command at `index` where it belongs. Whether it may be of a text that ends a transaction; then
    /// `noteEnd` is to be told.
    mutating func take(_ found: WireResult, at index: Int, of flight: Flight) -> Bool {
        let position = index - flight.leading.count
        let isUsers = !flight.isOwn && (0...fed + flight.further.count).contains(position)
        switch position {
        case ..<0: return false
        case 0: result = found
        case ...fed: break
        case ...(fed + flight.further.count): own().further.append(found)
        default: own().trailing = found
        }
        if position <= fed { flight.feed?.accept(found) }
        return isUsers && TransactionEnd.isConceivable(found)
    }

    mutating func noteEnd(_ found: WireResult, of text: [UInt8]) {
        guard let end = TransactionEnd(found, of: text) else {
            if found.isTagged("ROLLBACK") { own().hasGoneBack = true }
            return
        }
        let more = own()
        more.end = more.end ?? end
        more.hasCommitted = more.hasCommitted || end == .committed
    }

    /// Whether all statements were completed, of those that were said.
    func hasCompletedStatements(of flight: Flight) -> Bool {
        completed > flight.leading.count + fed + flight.further.count
    }

    /// Every statement's result, in order.
    var results: [WireResult] { (result.map { [$0] } ?? []) + further }
}

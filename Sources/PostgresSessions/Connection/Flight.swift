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
    /// Ask the server to answer the first command before the rest, within this time, or hold the connection for dead.
    var livenessTimeout: Duration?
    /// Where the statement's rows may go as they come.
    var rows: (any RowSink)?

}

/// What came of a flight whose connection survived it.
///
/// A failure makes the server skip the rest of the flight, so one number says how far it got.
struct FlightOutcome {
    /// Commands that were completed, from the first on.
    var completed = 0
    /// Why the next one was not.
    var failure: WireServerError?
    /// The text of that one.
    var refused: [UInt8]?
    /// How many statements the feed had.
    var fed = 0
    /// The statement's result. A feed takes those of its batch.
    var result: WireResult?
    /// The further statements' results.
    var further: [WireResult] = []
    /// The trailing command's result.
    var trailing: WireResult?
    /// The flight was interrupted; the statement may still have completed.
    var interruption: WireConnection.Interruption?

    /// Puts the result of the command at `index` where it belongs.
    mutating func take(_ found: WireResult, at index: Int, of flight: Flight) {
        let position = index - flight.leading.count
        switch position {
        case ..<0: return
        case 0: result = found
        case ...fed: break
        case ...(fed + flight.further.count): further.append(found)
        default: trailing = found
        }
        if position <= fed { flight.feed?.accept(found) }
    }

    /// Whether all statements were completed, of those that were said.
    func hasCompletedStatements(of flight: Flight) -> Bool {
        completed > flight.leading.count + fed + flight.further.count
    }

    /// Every statement's result, in order.
    var results: [WireResult] { (result.map { [$0] } ?? []) + further }
}

internal import PostgresWire

/// What one flight to the server says: commands in order, answered in order, one round trip.
struct Flight {
    /// The library's own words ahead of the statement: BEGIN, SET LOCAL, SAVEPOINT. Mostly empty.
    var leading: [SQLQuery] = []
    var statement: SQLQuery
    /// More statements of the same flight. Mostly none.
    var further: [SQLQuery] = []
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

    /// Where the statements end and COMMIT follows, if it does.
    var end: Int { leading.count + 1 + further.count }
    var count: Int { trailing == nil ? end : end + 1 }

    subscript(index: Int) -> SQLQuery {
        if index < leading.count { return leading[index] }
        if index == leading.count { return statement }
        return index < end ? further[index - leading.count - 1] : trailing ?? statement
    }
}

/// What came of a flight whose connection survived it.
///
/// A failure makes the server skip the rest of the flight, so one number says how far it got.
struct FlightOutcome {
    /// Commands that were completed, from the first on.
    var completed = 0
    /// Why the next one was not.
    var failure: WireServerError?
    /// The statement's result.
    var result: WireResult?
    /// The further statements' results.
    var further: [WireResult] = []
    /// The trailing command's result.
    var trailing: WireResult?
    /// The flight was interrupted; the statement may still have completed.
    var interruption: WireConnection.Interruption?

    /// Puts the result of the command at `index` where it belongs.
    mutating func take(_ found: WireResult, at index: Int, of flight: Flight) {
        switch index {
        case ..<flight.leading.count: break
        case flight.leading.count: result = found
        case ..<flight.end: further.append(found)
        default: trailing = found
        }
    }

    /// Every statement's result, in order.
    var results: [WireResult] { (result.map { [$0] } ?? []) + further }
}

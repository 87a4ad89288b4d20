internal import PostgresWire

/// What one flight to the server says: commands in order, answered in order, one round trip.
struct Flight {
    /// The library's own words ahead of the statement: BEGIN, SET LOCAL, SAVEPOINT. Mostly empty.
    var leading: [SQLQuery] = []
    var statement: SQLQuery
    /// COMMIT, where the statement was declared to be the last.
    var trailing: SQLQuery?
    var limits = FlightLimits()
    /// The statement is the library's own too: it leaves nothing behind in the session.
    var isOwn = false
    /// Ask the server to answer the first command before the rest, within this time, or hold the connection for dead.
    var livenessTimeout: Duration?
    /// Ask the server to answer the first command before the rest; its first value stays readable if the rest is lost.
    var answersFirstEarly = false

    var count: Int { leading.count + (trailing == nil ? 1 : 2) }

    subscript(index: Int) -> SQLQuery {
        if index < leading.count { return leading[index] }
        return index == leading.count ? statement : trailing ?? statement
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
    /// The trailing command's result.
    var trailing: WireResult?
    /// The flight was interrupted; the statement may still have completed.
    var interruption: WireConnection.Interruption?
}

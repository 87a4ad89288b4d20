internal import PostgresWire

/// How far the answers of a flight have been read.
struct ReplyReader {
    /// Replies to the clean-up ahead of the flight that are still due.
    var skipping: Int
    /// The command whose reply is next.
    var index = 0
    /// How many of the statements that the flight prepares have been answered.
    var prepared = 0
    var outcome = FlightOutcome()
    /// Why a command could not be queued.
    var refusal: WireServerError?
    /// There has been a reply: the server lives.
    var hasAny = false

    init(skipping: Int) { self.skipping = skipping }

    /// Nobody keeps the next result: BEGIN's, and those of a feed, which takes what it wants of them.
    func isLent(of flight: Flight) -> Bool {
        let position = index - flight.leading.count
        return position < 0 || position > 0 && position <= outcome.fed
    }

    /// How many of the user's statements have no answer yet.
    func unanswered(of flight: Flight) -> Int {
        1 + outcome.fed + flight.further.count - max(index - flight.leading.count, 0)
    }
}

internal import PostgresWire

/// What one flight to the server says: commands in order, answered in order, one round trip.
struct Flight {
    /// The commands. The first `controls` of them are the library's own (BEGIN, SET LOCAL); their failure is the flight's.
    var commands: [SQLQuery]
    var limits = FlightLimits()
    /// Ask the server to answer the first command before the rest, within this time, or hold the connection for dead.
    var livenessTimeout: Duration?

    init(_ commands: [SQLQuery], limits: FlightLimits = FlightLimits(), livenessTimeout: Duration? = nil) {
        self.commands = commands
        self.limits = limits
        self.livenessTimeout = livenessTimeout
    }
}

/// What came of one command of a flight.
enum FlightReply {
    case complete(WireResult)
    case refused(WireServerError)
    /// An earlier command of the flight failed, so the server did not look at this one.
    case skipped
}

/// What came of a flight whose connection survived it.
struct FlightOutcome {
    var replies: [FlightReply] = []
    /// The flight was interrupted; the statement may still have completed.
    var interruption: WireConnection.Interruption?

    /// The first failure, with the index of its command.
    var failure: (index: Int, error: WireServerError)? {
        for (index, reply) in replies.enumerated() {
            if case .refused(let error) = reply { return (index, error) }
        }
        return nil
    }
}

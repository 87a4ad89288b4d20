import PoolCore

/// What is going to happen in the simulated world, earliest first. Equal times are ordered by a seeded draw, so that
/// every order of simultaneous things is tried by some seed.
struct Schedule: Sendable {
    enum Happening: Sendable {
        case arrives(Client)
        case givesUp(WaiterID)
        case finishesWork(LeaseID)
        case connectResolves(ConnectionID)
        case pingResolves(ConnectionID)
        case resetResolves(ConnectionID)
        case closeResolves(ConnectionID)
        case socketEnds(ConnectionID)
        case weather(SimulatedServer.Weather)
        case restart
        case killsSomebody
        case administration(PoolEvent)
        case asksForWarmUp
        case clockJumps(Int64)
    }

    private struct Entry: Sendable {
        let time: PoolInstant
        let tieBreak: UInt64
        let happening: Happening

        func precedes(_ other: Entry) -> Bool {
            time == other.time ? tieBreak < other.tieBreak : time < other.time
        }
    }

    private var entries: [Entry] = []

    var isEmpty: Bool { entries.isEmpty }
    var nextTime: PoolInstant? { entries.first?.time }

    mutating func add(_ happening: Happening, at time: PoolInstant, tieBreak: UInt64) {
        entries.append(Entry(time: time, tieBreak: tieBreak, happening: happening))
        var child = entries.count - 1
        while child > 0, entries[child].precedes(entries[(child - 1) / 2]) {
            entries.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popFirst() -> (time: PoolInstant, happening: Happening)? {
        guard let first = entries.first, let last = entries.popLast() else { return nil }
        guard !entries.isEmpty else { return (first.time, first.happening) }
        entries[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < entries.count && entries[child].precedes(entries[smallest]) {
                smallest = child
            }
            if smallest == parent { return (first.time, first.happening) }
            entries.swapAt(parent, smallest)
            parent = smallest
        }
    }
}

/// One request of the simulated application.
struct Client: Sendable {
    let waiter: WaiterID
    /// The task; a second checkout by the same one may wait for itself.
    let owner: UInt64?
    let isUrgent: Bool
}

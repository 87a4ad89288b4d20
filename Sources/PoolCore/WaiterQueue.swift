/// Those who wait, in order of arrival, urgent ones first. Everything but a time-out is O(1) amortised: a million waiters
/// cancelled in any order take linear time, and their memory is given back.
struct WaiterQueue: Hashable, Sendable {
    struct Waiter: Hashable, Sendable {
        var id: WaiterID
        var deadline: PoolInstant
        var owner: UInt64?
        var isUrgent: Bool
        /// Its number in order of arrival; 0 marks an unused node.
        var ticket: UInt64
        // Neighbours in its line, -1 at the ends; `next` also chains the unused nodes.
        var previous: Int32
        var next: Int32
    }

    struct Line: Hashable, Sendable {
        var first: Int32 = -1
        var last: Int32 = -1
        var count = 0

        mutating func append(_ place: Int32, in nodes: inout [Waiter]) {
            nodes[Int(place)].previous = last
            if last >= 0 { nodes[Int(last)].next = place } else { first = place }
            last = place
            count += 1
        }

        mutating func remove(_ waiter: Waiter, in nodes: inout [Waiter]) {
            if waiter.previous >= 0 { nodes[Int(waiter.previous)].next = waiter.next } else { first = waiter.next }
            if waiter.next >= 0 { nodes[Int(waiter.next)].previous = waiter.previous } else { last = waiter.previous }
            count -= 1
        }
    }

    private(set) var nodes: [Waiter] = []
    private(set) var ordinary = Line()
    private(set) var urgent = Line()
    private var unused: Int32 = -1
    private var places = PlaceTable()
    private(set) var deadlines = DeadlineHeap()
    private var nextTicket: UInt64 = 1

    /// Above this, an emptied queue gives its memory back instead of keeping it for the next rush.
    private static let keptWhenEmpty = 4096

    var count: Int { ordinary.count + urgent.count }
    var isEmpty: Bool { ordinary.first < 0 && urgent.first < 0 }

    mutating func append(_ id: WaiterID, deadline: PoolInstant, owner: UInt64?, isUrgent: Bool) {
        let waiter = Waiter(
            id: id, deadline: deadline, owner: owner, isUrgent: isUrgent, ticket: nextTicket, previous: -1, next: -1)
        nextTicket += 1
        let place = store(waiter)
        let isNew = places.insert(id.rawValue, place)
        precondition(isNew, "P3: waiter \(id.rawValue) waits twice")
        if isUrgent { urgent.append(place, in: &nodes) } else { ordinary.append(place, in: &nodes) }
        if deadline < .distantFuture {
            deadlines.push(DeadlineHeap.Entry(deadline: deadline, ticket: waiter.ticket, place: place))
        }
    }

    /// The one to serve next (P6).
    mutating func popFirst() -> Waiter? {
        let place = urgent.first >= 0 ? urgent.first : ordinary.first
        return place < 0 ? nil : take(place)
    }

    mutating func remove(_ id: WaiterID) -> Waiter? {
        guard let place = places[id.rawValue] else { return nil }
        return take(place)
    }

    /// The one whose deadline passed longest ago, if any did.
    mutating func popExpired(at now: PoolInstant) -> Waiter? {
        guard let earliest = earliestDeadline(), earliest <= now, let top = deadlines.first else { return nil }
        return take(top.place)
    }

    /// The earliest deadline of those who still wait.
    mutating func earliestDeadline() -> PoolInstant? {
        while let top = deadlines.first {
            if isAlive(top) { return top.deadline }
            deadlines.popFirst()
        }
        return nil
    }

    /// The waiters in the order in which they will be served. For checks and fingerprints; takes linear time.
    var inOrder: [Waiter] {
        var result: [Waiter] = []
        for line in [urgent, ordinary] {
            var place = line.first
            while place >= 0 {
                result.append(nodes[Int(place)])
                place = nodes[Int(place)].next
            }
        }
        return result
    }

    private func isAlive(_ entry: DeadlineHeap.Entry) -> Bool {
        nodes[Int(entry.place)].ticket == entry.ticket
    }

    private mutating func store(_ waiter: Waiter) -> Int32 {
        guard unused >= 0 else {
            nodes.append(waiter)
            return Int32(nodes.count - 1)
        }
        let place = unused
        unused = nodes[Int(place)].next
        nodes[Int(place)] = waiter
        return place
    }

    private mutating func take(_ place: Int32) -> Waiter {
        let waiter = nodes[Int(place)]
        if waiter.isUrgent { urgent.remove(waiter, in: &nodes) } else { ordinary.remove(waiter, in: &nodes) }
        places.remove(waiter.id.rawValue)
        nodes[Int(place)].ticket = 0
        nodes[Int(place)].next = unused
        unused = place
        if isEmpty {
            discardEverything()
        } else if deadlines.count > 2 * count + 64 {
            let nodes = self.nodes
            deadlines.filter { nodes[Int($0.place)].ticket == $0.ticket }
        }
        return waiter
    }

    private mutating func discardEverything() {
        unused = -1
        let keep = nodes.count <= Self.keptWhenEmpty
        nodes.removeAll(keepingCapacity: keep)
        deadlines.removeAll(keepingCapacity: keep)
        if !keep { places.removeAll() }
    }
}

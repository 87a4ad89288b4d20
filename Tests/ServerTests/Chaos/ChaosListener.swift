import PostgresSessions
import Testing

/// Hears of units of work through `engine.listen`.
final class ChaosListener: Sendable {
    enum Event: Equatable, Sendable { case began(Int), heard(Int), gap }

    static let channel = "chaos"
    private static let last = 0
    let events = Journal<Event>()

    /// Until the engine is shut down. Returns when the server listens.
    func open(on engine: Engine) async throws -> Task<Outcome, Never> {
        let task = Task {
            await outcome {
                for try await notice in engine.listen(on: Self.channel, startsWithGap: true) {
                    self.events.append(notice.isGap ? .gap : .heard(Int(notice.payload) ?? -1))
                }
            }
        }
        try await eventually("somebody listens") { events.all == [.gap] }
        return task
    }

    /// Nothing that has been said before is still on its way.
    func catchUp(_ shop: Shop) async throws {
        try await eventually("the listener is back") {
            try await shop.witness.execute("SELECT pg_notify(\(Self.channel), \(String(Self.last)))")
            return events.all.last == .heard(Self.last)
        }
    }

    /// What it has heard that was not committed, or not heard although it missed nothing.
    func faults(_ units: [ChaosUnit], committed: Set<Int>) -> [String] {
        var (heard, latestGap, beginnings): (Set<Int>, Int, [Int: Int]) = ([], 0, [:])
        var found: [String] = []
        for (index, event) in events.all.enumerated() {
            switch event {
            case .began(let id): beginnings[id] = index
            case .gap: latestGap = index
            case .heard(Self.last): break
            case .heard(let id):
                if !heard.insert(id).inserted { found.append("heard twice: \(id)") }
                if !committed.contains(id) { found.append("heard, and not committed: \(id)") }
            }
        }
        for unit in units where unit.isTold && committed.contains(unit.id) && !heard.contains(unit.id) {
            if let beginning = beginnings[unit.id], beginning > latestGap { found.append("not heard: \(unit)") }
        }
        return found
    }
}

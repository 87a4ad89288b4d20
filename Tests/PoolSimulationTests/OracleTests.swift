import PoolCore
import PoolSimulation
import Testing

/// A checker that accepts everything proves nothing: these lie to the oracle, one lie each.
@Suite struct `The oracle` {
    private let configuration = PoolConfiguration(size: 1, maxOverflow: 0)
    private let now = PoolInstant(nanoseconds: 1)
    private let later = PoolInstant(nanoseconds: 100)

    /// Plays honestly up to a point, then applies the last event and lets the test change what the oracle is told.
    private func verdict(
        on events: [PoolEvent], wakingAt wakes: PoolInstant = PoolInstant(nanoseconds: 1),
        lie: (inout [PoolEffect], inout PoolSnapshot) -> Void
    ) -> String? {
        var machine = PoolStateMachine(configuration)
        var oracle = Oracle(configuration)
        for (number, event) in events.enumerated() {
            var list = PoolEffects()
            let now = event == .wokeUp ? wakes : now
            machine.apply(event, at: now, into: &list)
            var effects = Array(list)
            var snapshot = machine.snapshot
            if number == events.count - 1 { lie(&effects, &snapshot) }
            do throws(Oracle.Violation) {
                try oracle.observe(event, effects, at: now, snapshot: snapshot)
            } catch {
                return error.description
            }
        }
        return nil
    }

    private func request(_ waiter: UInt64) -> PoolEvent {
        .requested(WaiterID(rawValue: waiter), deadline: later)
    }

    private let connection = ConnectionID(slot: 0, serial: 1)
    private var lease: LeaseID { LeaseID(connection: connection, number: 1) }

    @Test func `accepts the truth`() {
        let events = [request(1), .connected(connection), request(2), .returned(lease, .clean)]
        #expect(verdict(on: events) { _, _ in } == nil)
    }

    @Test func `notices a grant that got lost`() {
        let said = verdict(on: [request(1), .connected(connection)]) { effects, _ in effects.removeAll() }
        #expect(said != nil)
    }

    @Test func `notices a waiter who is answered twice`() {
        let said = verdict(on: [request(1), .connected(connection)]) { effects, _ in effects += effects }
        #expect(said?.hasPrefix("P3") == true)
    }

    @Test func `notices somebody who jumps the queue`() {
        let events = [request(1), .connected(connection), request(2), request(3), .returned(lease, .clean)]
        let said = verdict(on: events) { effects, _ in
            let second = LeaseID(connection: connection, number: 2)
            effects = [.grant(WaiterID(rawValue: 3), second, idleSince: nil)]
        }
        #expect(said?.hasPrefix("P6") == true)
    }

    @Test func `notices a connection too many`() {
        let said = verdict(on: [request(1), request(2)]) { effects, _ in
            effects.append(.connect(ConnectionID(slot: 1, serial: 2)))
        }
        #expect(said?.hasPrefix("P1") == true)
    }

    @Test func `notices a broken connection that is lent again`() {
        let events = [request(1), .connected(connection), request(2), .returned(lease, .broken)]
        let said = verdict(on: events) { effects, _ in
            let second = LeaseID(connection: connection, number: 2)
            effects = [.grant(WaiterID(rawValue: 2), second, idleSince: nil)]
        }
        #expect(said?.contains("P10") == true)
    }

    @Test func `notices a connection that is closed twice`() {
        let events = [request(1), .connected(connection), .returned(lease, .broken)]
        let said = verdict(on: events) { effects, _ in effects += effects }
        #expect(said?.hasPrefix("P4") == true)
    }

    @Test func `notices counters that drift`() {
        let said = verdict(on: [request(1), .connected(connection)]) { _, snapshot in snapshot.checkouts += 1 }
        #expect(said?.hasPrefix("P12") == true)
    }

    @Test func `notices somebody who waits while nobody asks whether the server is back`() {
        let events = [request(1), .connectFailed(connection, .transient), .wokeUp]
        let said = verdict(on: events, wakingAt: PoolInstant(nanoseconds: .seconds(1))) { effects, _ in effects = [] }
        #expect(said?.contains("overdue") == true)
    }

    @Test func `notices a time-out that comes too early`() {
        let said = verdict(on: [request(1), .wokeUp]) { effects, _ in
            effects = [.fail(WaiterID(rawValue: 1), .timedOut(TimeoutCircumstances()))]
        }
        #expect(said != nil)
    }
}

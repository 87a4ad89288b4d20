// P1 to P12 of the architecture, as far as one state can show them. P3, P4, P6 and P10 speak about histories: the
// simulation's ledger checks those from the effects.
extension PoolStateMachine {
    /// The broken promises of this state, empty when it is sound. Takes linear time; for tests and simulations.
    package func brokenInvariants() -> [String] {
        var broken: [String] = []
        func expect(_ condition: Bool, _ promise: @autoclosure () -> String) {
            if !condition { broken.append(promise()) }
        }
        let counted = recount()
        expect(slots.live <= max(ceiling, ceilingForUrgent), "P1: \(slots.live) sockets, \(ceiling) allowed")
        expect(ceiling == max(configuration.capacity, ceiling), "P1: the ceiling is below the capacity")
        expect(
            slots.idle == 0 || waiters.count <= slots.coming,
            "P2: \(waiters.count) wait while \(slots.idle) are idle")
        expect(counted == expectedCount, "P12: counted \(counted), kept \(expectedCount)")
        expect(idleListIsSound, "P12: the idle list is broken")
        expect(waiterCountsAreSound, "P12: the queue's counts are wrong")
        expect(leasesAreUnique, "P5: two slots hold one lease")
        expect(
            slots.slots.allSatisfy { $0.state != .idle || ($0.condemned == nil && $0.generation == generation) },
            "P10: an idle connection is condemned or of an earlier generation")
        // When the timer is late, what is due may wait for it.
        expect(growthDecision != .connect || alarm <= now, "P7: a connect is due and was not started")
        if phase == .open, waiters.count > slots.coming, slots.live < configuration.capacity {
            expect(growthDecision != .enough || outage?.probe != nil, "P7: waiters, room, and nothing under way")
        }
        var copy = self
        let promise = copy.earliestPromise()
        expect(alarm <= promise, "P8: the alarm is \(promise - alarm) ns late")
        if phase != .open {
            expect(waiters.isEmpty && slots.idle == 0, "P11: waiters or idle ones while shutting down")
        }
        if phase == .shutDown { expect(slots.live == 0 && nextDeadline == nil, "P11: something is left") }
        expect((phase == .shutDown) == (phase != .open && slots.live == 0), "P11: shut down is not noticed")
        return broken
    }

    /// Traps when a promise is broken.
    package func checkInvariants() {
        let broken = brokenInvariants()
        precondition(broken.isEmpty, broken.joined(separator: "\n"))
    }

    private var expectedCount: [SlotState: Int] {
        let counts: [SlotState: Int] = [
            .connecting: slots.connecting, .validating: slots.validating, .idle: slots.idle, .leased: slots.leased,
            .resetting: slots.resetting, .closing: slots.closing,
        ]
        return counts.filter { $0.value != 0 }
    }

    private func recount() -> [SlotState: Int] {
        var counts: [SlotState: Int] = [:]
        for slot in slots.slots where slot.state != .free { counts[slot.state, default: 0] += 1 }
        return counts
    }

    private var waiterCountsAreSound: Bool {
        let waiting = waiters.inOrder
        return waiting.count == waiters.count && waiting.filter(\.isUrgent).count == waiters.urgent.count
            && Set(waiting.map(\.id)).count == waiting.count
    }

    private var leasesAreUnique: Bool {
        let leases = slots.slots.filter { $0.state == .leased }.map(\.lease)
        return Set(leases).count == leases.count
    }

    /// Both directions agree, and the order is that of coming to rest.
    private var idleListIsSound: Bool {
        var (place, newer, seen) = (slots.newestIdle, Int32(-1), 0)
        var since = PoolInstant.distantFuture
        while place >= 0 {
            let slot = slots[Int(place)]
            guard slot.state == .idle, slot.newer == newer, slot.since <= since, seen <= slots.idle else {
                return false
            }
            (newer, since, seen) = (place, slot.since, seen + 1)
            place = slot.older
        }
        return newer == slots.oldestIdle && seen == slots.idle
    }
}

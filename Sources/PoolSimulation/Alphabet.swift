package import PoolCore

/// Which events the model checker lets happen. What can happen at all follows from the state: only a connect that is
/// under way can fail, only a lease can be returned.
package struct Alphabet: Sendable {
    /// How many may hold or await a connection at once.
    package var clients = 3
    /// For each new request: how long it waits, and whether it is urgent.
    package var timeouts: [Int64] = [100]
    package var urgentRequests = false
    package var connectFailures: [ConnectFailureClass] = [.transient]
    package var outcomes: [LeaseOutcome] = [.clean, .needsReset, .spent, .broken]
    package var cancellations = true
    package var deaths = true
    package var invalidations = false
    package var sizes: [(size: Int, maxOverflow: Int?)] = []
    package var warmUp = false
    package var shutdownGrace: Int64?
    package var timePasses = true
    /// Requests may also come when the timer is due and has not fired yet.
    package var lateTimer = false
    /// Answers that arrive although the pool has decided otherwise meanwhile.
    package var lateAnswers = true

    package init() {}

    func events(for machine: PoolStateMachine, at now: PoolInstant) -> [(PoolEvent, PoolInstant)] {
        var events: [(PoolEvent, PoolInstant)] = []
        func add(_ event: PoolEvent) { events.append((event, now)) }
        let snapshot = machine.snapshot
        let waiting = machine.waitingIDs
        if snapshot.waiting + snapshot.leased < clients {
            let id = WaiterID(
                rawValue: snapshot.checkouts + snapshot.timeouts + snapshot.cancelled + snapshot.refused
                    + UInt64(waiting.count) + 1)
            for timeout in timeouts {
                add(.requested(id, deadline: now + timeout))
                if urgentRequests { add(.requested(id, deadline: now + timeout, urgent: true)) }
            }
        }
        if cancellations { for id in waiting { add(.cancelled(id)) } }
        for connection in machine.connections {
            for event in self.events(about: connection) { add(event) }
        }
        for (size, overflow) in sizes where size != snapshot.size || overflow != snapshot.maxOverflow {
            add(.resized(size: size, maxOverflow: overflow))
        }
        if invalidations { add(.invalidated) }
        if warmUp { add(.warmUp) }
        if let shutdownGrace, !snapshot.isShutDown { add(.shutdown(forceAt: now + shutdownGrace)) }
        guard timePasses, let deadline = machine.exactDeadline.map({ max(now, $0) }) else { return events }
        events.append((.wokeUp, deadline))
        if lateTimer, deadline > now {
            events += events.compactMap { event, _ in
                if case .requested(let id, _, _, _) = event {
                    (.requested(id, deadline: deadline + timeouts[0]), deadline)
                } else {
                    nil
                }
            }
        }
        return events
    }

    private func events(about connection: ConnectionView) -> [PoolEvent] {
        let id = connection.id
        var events: [PoolEvent] = []
        switch connection.state {
        case .connecting:
            events = [.connected(id)] + connectFailures.map { .connectFailed(id, $0) }
        case .validating: events = [.validated(id, true), .validated(id, false)]
        case .resetting: events = [.resetFinished(id, true), .resetFinished(id, false)]
        case .leased:
            guard let lease = connection.lease else { break }
            events = outcomes.map { .returned(lease, $0) }
            let stale = LeaseID(connection: id, number: lease.number - 1)
            if lateAnswers { events.append(.returned(stale, .broken)) }
        case .idle: break
        case .closing:
            events = [.gone(id)]
            if lateAnswers, !connection.wasOpened { events += [.connected(id), .connectFailed(id, .transient)] }
            if lateAnswers, connection.wasOpened { events += [.died(id), .validated(id, true)] }
        }
        guard connection.state != .closing, connection.state != .connecting else { return events }
        if deaths { events.append(.died(id)) }
        if invalidations { events += [.connectionInvalidated(id), .invalidatedBy(id)] }
        return events
    }
}

import PoolCore

/// From any state: when the server is well, every lease comes back, and time passes, nobody waits any more, nobody is
/// refused for lack of a server that is there, and a shutdown ends (P7, P11).
enum LivenessCheck {
    /// The promise that is broken, if one is.
    static func run(from machine: PoolStateMachine, at start: PoolInstant) -> String? {
        var machine = machine
        var now = start
        var isOutage = machine.snapshot.isServerRefusing
        for _ in 0..<1000 {
            let snapshot = machine.snapshot
            if snapshot.isShutDown { return nil }
            var effects = PoolEffects()
            if let event = nextAnswer(of: machine) {
                machine.apply(event, at: now, into: &effects)
            } else if snapshot.waiting == 0, snapshot.live == snapshot.idle {
                return nil
            } else if let deadline = machine.exactDeadline {
                now = max(now, deadline)
                machine.apply(.wokeUp, at: now, into: &effects)
            } else {
                return "P7: \(snapshot.waiting) wait for ever"
            }
            for effect in effects {
                guard case .fail(_, let refusal) = effect else { continue }
                if !isOutage { return "P7: the server is well, and yet somebody was refused: \(refusal)" }
            }
            isOutage = machine.snapshot.isServerRefusing
        }
        return "P7: the pool goes round in circles"
    }

    /// The next good answer of the world, if one is due.
    private static func nextAnswer(of machine: PoolStateMachine) -> PoolEvent? {
        for connection in machine.connections {
            switch connection.state {
            case .connecting: return .connected(connection.id)
            case .validating: return .validated(connection.id, true)
            case .resetting: return .resetFinished(connection.id, true)
            case .closing: return .gone(connection.id)
            case .leased: if let lease = connection.lease { return .returned(lease, .clean) }
            case .idle: continue
            }
        }
        return nil
    }
}

import PoolCore

/// What happened, line by line: a digest of everything, and the last lines to read.
struct Trace: Sendable {
    private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var lines: [String] = []
    private let kept: Int

    init(kept: Int) {
        self.kept = kept
    }

    mutating func add(_ line: String) {
        for byte in line.utf8 {
            digest = (digest ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
        guard kept > 0 else { return }
        lines.append(line)
        if lines.count > 2 * kept { lines.removeFirst(lines.count - kept) }
    }

    /// One step as one line: what happened, what the pool wants, how it stands, when it wants to be woken.
    static func line(_ event: PoolEvent, _ effects: [PoolEffect], _ machine: PoolStateMachine, at now: PoolInstant)
        -> String
    {
        let snapshot = machine.snapshot
        var line = "\(seconds(now)) \(event.summary) → "
        line += effects.isEmpty ? "nothing" : effects.map(\.summary).joined(separator: ", ")
        line += " | \(snapshot.idle) idle \(snapshot.leased) leased \(snapshot.connecting) connecting"
        line += " \(snapshot.validating + snapshot.resetting) checked \(snapshot.closing) closing"
        line += " | \(snapshot.waiting) waiting"
        if let next = machine.nextDeadline { line += " | next \(seconds(next))" }
        return line
    }

    static func seconds(_ instant: PoolInstant) -> String {
        let micros = instant.nanoseconds / 1000
        let fraction = String(abs(micros % 1_000_000))
        return "\(micros / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)s"
    }
}

extension ConnectionID {
    var name: String { "c\(serial)" }
}

extension PoolEvent {
    var summary: String {
        switch self {
        case .requested(let waiter, let deadline, _, let urgent):
            "w\(waiter.rawValue) \(urgent ? "urgently " : "")wants one until \(Trace.seconds(deadline))"
        case .cancelled(let waiter): "w\(waiter.rawValue) cancelled"
        case .connected(let id): "\(id.name) connected"
        case .connectFailed(let id, let failure): "\(id.name) failed, \(failure)"
        case .validated(let id, let alive): "\(id.name) \(alive ? "answered" : "did not answer") its ping"
        case .resetFinished(let id, let success): "\(id.name) reset \(success ? "done" : "failed")"
        case .returned(let lease, let outcome): "\(lease.connection.name) returned \(outcome)"
        case .died(let id): "\(id.name) died"
        case .gone(let id): "\(id.name) gone"
        case .wokeUp: "woken"
        case .resized(let size, let maxOverflow): "resized to \(size)+\(maxOverflow.map { "\($0)" } ?? "∞")"
        case .invalidated: "invalidated"
        case .invalidatedBy(let id): "invalidated by \(id.name)"
        case .connectionInvalidated(let id): "\(id.name) invalidated"
        case .warmUp: "warm-up wanted"
        case .shutdown(let forceAt): "shutdown, forced at \(Trace.seconds(forceAt))"
        }
    }
}

extension PoolEffect {
    var summary: String {
        switch self {
        case .grant(let waiter, let lease, let idleSince):
            "w\(waiter.rawValue) gets \(lease.connection.name)"
                + (idleSince.map { " idle since \(Trace.seconds($0))" } ?? "")
        case .fail(let waiter, let refusal): "w\(waiter.rawValue) \(refusal.summary)"
        case .connect(let id): "connect \(id.name)"
        case .validate(let id): "ping \(id.name)"
        case .reset(let id): "reset \(id.name)"
        case .close(let id, let reason): "close \(id.name) (\(reason))"
        case .cancelLease(let lease): "cancel \(lease.connection.name)"
        case .leakSuspected(let lease): "leak? \(lease.connection.name)"
        case .warmUpFinished(let success): "warm-up \(success ? "done" : "failed")"
        case .shutdownComplete: "shut down"
        }
    }
}

extension PoolRefusal {
    var summary: String {
        switch self {
        case .timedOut(let circumstances):
            "timed out\(circumstances.connectFailed ? " in an outage" : "")"
                + "\(circumstances.ownerHoldsLease ? " waiting for itself" : "")"
        case .cancelled: "cancelled"
        case .tooManyWaiters: "refused, queue full"
        case .shutDown: "refused, shut down"
        case .connectFailed: "refused, no server"
        }
    }
}

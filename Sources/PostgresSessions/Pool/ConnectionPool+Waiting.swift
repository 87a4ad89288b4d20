internal import PoolCore
internal import PostgresWire
internal import Synchronization

// Waiting for a connection. A task on a loop waits without a cancellation handler, which costs more than the rest of a checkout:
// a timer asks those tasks, all at once, whether they have been cancelled. Whoever waits for long, and whoever is no loop's,
// listens for itself.
extension ConnectionPool {
    /// How late a cancellation is heard.
    static var round: Int64 { .milliseconds(2) }

    /// The end of the wait is for `settle`.
    ///
    /// Inlined, for its way back would be one more hop between executors.
    @inline(__always)
    func wait(since now: PoolInstant, until deadline: PoolInstant, urgent: Bool = false) async -> WaitEnd {
        var end: WaitEnd
        if WireConnection.isOnLoop {
            end = await withUnsafeContinuation { continuation in
                let (id, isAsked) = enter(at: now, until: deadline, urgent, continuation)
                if !isAsked { continuation.resume(returning: .late(id)) }
            }
        } else {
            end = .late(enter(at: now, until: deadline, urgent, nil).id)
        }
        if case .late(let id) = end { end = await waitListening(id) }
        return end
    }

    @inline(never)
    private func waitListening(_ id: WaiterID) async -> WaitEnd {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let end = state.withLock { $0.waiters.resume(id, continuation) }
                if let end { continuation.resume(returning: end) }
            }
        } onCancel: {
            apply(.cancelled(id))
        }
    }

    /// Becomes a waiter. Whether its continuation was kept; else it is to listen from the start.
    private func enter(
        at now: PoolInstant, until deadline: PoolInstant, _ urgent: Bool, _ continuation: WaitContinuation?
    ) -> (id: WaiterID, isAsked: Bool) {
        let task = SuspendedTask.current
        let isCancelled = task?.isCancelled == true
        var work: Work?
        let entry = state.withLock { state in
            let entry = state.waiters.enter(continuation, task)
            let request = PoolEvent.requested(entry.id, deadline: deadline, owner: task?.name, urgent: urgent)
            state.machine.apply(request, at: now, into: &state.effects)
            if isCancelled { state.machine.apply(.cancelled(entry.id), at: now, into: &state.effects) }
            if entry.isAsked && state.nextRound == .distantFuture { state.nextRound = now + Self.round }
            work = workIfAny(&state, now)
            return entry
        }
        if let work { perform(work) }
        return entry
    }

    /// nil: the connection that was granted turned out to be dead; ask again.
    func settle(_ end: WaitEnd, _ origin: Origin? = nil) throws -> Lease? {
        #if THREAD_SANITIZER
            // It does not see what orders a task after whoever resumes its continuation before it is suspended.
            state.withLock { _ in }
        #endif
        switch end {
        case .granted(let connection):
            guard let loan = connection.loan.take() else { preconditionFailure("it was granted without a loan") }
            let lease = Lease(loan, connection)
            if reportsLeaks {
                state.withLock { $0.origins[lease.id.connection.slot] = origin }
                lease.connection.lastStatement?.forget()
            }
            return isUsable(lease) ? lease : nil
        case .failed(let failure): throw failure.error
        case .late: preconditionFailure("a task that listens is not told to")
        }
    }

    /// Under the lock. What is to be resumed outside it, beyond what the machine's effects say.
    func askWaiters(_ state: inout State, _ now: PoolInstant) -> [(WaitContinuation, WaitEnd)] {
        let (cancelled, late) = state.waiters.ask()
        for id in cancelled { state.machine.apply(.cancelled(id), at: now, into: &state.effects) }
        // Those who were cancelled have left the table only when the effects are collected.
        state.nextRound = state.waiters.askedCount > cancelled.count ? now + Self.round : .distantFuture
        return late.map { id, continuation in (continuation, .late(id)) }
    }
}

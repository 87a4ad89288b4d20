import PostgresSessions

extension SessionModel.Candidate {
    /// A lost connection is not kept: what an earlier transaction has left to do may be done at any time.
    fileprivate var actionsOfLost: [Self] {
        guard state.phase == .lost, !state.due.isEmpty else { return [self] }
        var other = self
        other.state.fire()
        return [self, other]
    }
}

extension SessionModel {
    /// What this state may have become, given what the program has seen.
    func after(_ event: ProgramEvent) -> [SessionModel] {
        if isBeyond { return [self] }
        return candidates(event).flatMap(\.actionsOfLost).filter { candidate in
            candidate.outcome == event.outcome && candidate.state.fits(event)
                && (candidate.value == nil || candidate.value == event.value
                    || event.value == nil && event.outcome == .commitOutcomeUnknown)
        }.map(\.state)
    }

    func candidates(_ event: ProgramEvent) -> [Candidate] {
        switch event.what {
        case .step(let step): candidates(step, event)
        case .entered(let scope): entering(scope, event).filter { $0.outcome == .returned }
        case .left(let scope, let body?): leaving(scope, body, event)
        case .left(let scope, nil): entering(scope, event).filter { $0.outcome != .returned }
        case .attempt(let number): beginning(number)
        case .bodyEnded(let ending): [result(.returned) { $0.bodyEnding = ending }]
        case .finished: finishing(event)
        case .outside(let statement): outside(statement, event)
        }
    }

    private func candidates(_ step: Step, _ event: ProgramEvent) -> [Candidate] {
        switch step {
        case .execute(let statement): return flight([statement], event)
        case .batch(let statements): return flight(statements, event)
        case .pipeline(let first, let second, let third): return flight([first, second, third], event)
        case .commitWith(let statement): return flight([statement], event, thenCommit: true)
        case .select(let rows): return flight([.nothing], event) { _ in String(rows) }
        case .countRows:
            return flight([.nothing], event) { String($0.committed.count + $0.work.rows.count) }
        case .showTenant: return flight([.nothing], event) { $0.work.tenant }
        case .stream(let rows, let read, let throwing, let fails):
            return stream(rows, read, throwing, fails, event)
        case .copyOut(let rows, let read): return flight([.nothing], event) { _ in String(min(rows, max(1, read))) }
        case .copyIn(let rows, let fault): return copy(rows, fault, event)
        case .begin(let how): return begin(how)
        case .commit, .commitAtCut: return commit(event)
        case .rollback: return rollback()
        case .close: return [result(.returned) { $0.close() }]
        case .prepare(let number): return prepare(number, event)
        case .afterCommit(let number): return [result(.returned) { $0.onCommit.append(number) }]
        case .afterRollback(let number): return [result(.returned) { $0.onRollback.append(number) }]
        case .timeoutThatFires:
            let early = phase == .closed || isEnded ? [] : [result(.statementTimedOut)] + cutShort(.statementTimedOut)
            return flight([.sleep], event) + early
        case .timeoutThatHasPassed:
            if phase == .closed || isEnded { return flight([.nothing], event) }
            return (refusals(event) ?? []) + [result(.statementTimedOut)]
                + (event.isCancelled ? [result(.cancelled)] : [])
        case .cancel, .cancelSoon, .endSoon, .cut, .invalidate: return [result(.returned)]
        // The stream is well, and goes on.
        case .insideStream:
            return wellRead(0, false, event).map { candidate in
                Candidate(
                    outcome: candidate.outcome == .returned ? .invalidState : candidate.outcome, state: candidate.state)
            }
        case .scope: return []
        }
    }

    // MARK: Rows

    /// Row `fails` is noticed at the latest when it is to be read, and not before it is asked for: the first 128 are at once.
    private func stream(
        _ rows: Int, _ read: Int, _ throwing: Bool, _ fails: Int?, _ event: ProgramEvent
    ) -> [Candidate] {
        let failing = flight([.division], event)
        guard let fails else { return wellRead(min(rows, read), rows >= read && throwing, event) }
        if fails <= 128 { return failing }
        if read >= fails { return failing + betweenChunks(event) }
        return read <= 128 ? wellRead(read, false, event) : failing + wellRead(read, false, event)
    }

    private func wellRead(_ count: Int, _ throwing: Bool, _ event: ProgramEvent) -> [Candidate] {
        var found = flight([.nothing], event) { _ in throwing ? nil : String(count) }
        if throwing { found = found.map(Self.thrown) }
        return found + betweenChunks(event)
    }

    /// A stream that is cancelled between two chunks leaves its transaction well.
    private func betweenChunks(_ event: ProgramEvent) -> [Candidate] {
        guard event.isCancelled, refusals(event) == nil else { return [] }
        let left = result(.cancelled) { state in
            state.open()
            _ = state.ride(state.riders.count)
        }
        return [left]
    }

    private static func thrown(_ candidate: Candidate) -> Candidate {
        guard candidate.outcome == .returned else { return candidate }
        return Candidate(outcome: Outcome(OutOfStock()), state: candidate.state)
    }

    private func copy(_ rows: [Int], _ fault: CopyFault, _ event: ProgramEvent) -> [Candidate] {
        if fault == .duplicate { return flight([.duplicate], event) }
        let all = rows.map { Statement.row($0) }
        guard fault == .thrown else { return flight(all, event) { _ in String(rows.count) } }
        // The user's error is his own; the COPY is a statement that has failed.
        return flight([.row(0)], event).map { candidate in
            guard candidate.outcome == .returned else { return candidate }
            var state = candidate.state
            state.phase = .failed(nil)
            return Candidate(outcome: Outcome(OutOfStock()), state: state)
        }
    }

    // MARK: The transaction

    private func begin(_ how: Characteristics) -> [Candidate] {
        if phase == .closed { return [result(.sessionClosed)] }
        guard phase == .idle, !isEnded else { return [result(.invalidState)] }
        return [
            result(.returned) { state in
                state.phase = .pending
                guard !isSandbox else { return }
                state.isReadOnly = how == .readOnly
                state.hasDemands = how != .plain
            }
        ]
    }

    private func commit(_ event: ProgramEvent) -> [Candidate] {
        ending(event) { state in
            let refusal = state.commitByHand()
            state.endScopes()
            return refusal
        }
    }

    private func prepare(_ number: Int, _ event: ProgramEvent) -> [Candidate] {
        if phase == .idle || phase == .pending || outer != nil && phase == .active {
            return [result(.invalidState)] + (event.isCancelled ? [result(.cancelled)] : [])
        }
        return ending(event) { state in
            if state.work.isDeferred {
                state.endScopes()
                return state.end(isCommitted: true)
            }
            if state.work.isTied || state.isTiedForGood {
                state.finish(isCommitted: false)
                state.endScopes()
                return .server("0A000")
            }
            state.prepared[number] = state.work.rows
            state.mayBeCommitted = true
            state.forget()
            state.fire()
            state.endScopes()
            return nil
        }
    }

    /// What ends the transaction for good; it may go unanswered.
    private func ending(_ event: ProgramEvent, _ end: (inout SessionModel) -> Outcome?) -> [Candidate] {
        let cancelled = event.isCancelled ? [result(.cancelled)] : []
        switch phase {
        case .closed: return [result(.sessionClosed)]
        case .failed, .lost: return [result(.transactionAborted)] + cancelled
        case .idle, .pending, .active: break
        }
        var state = self
        let refusal = end(&state)
        var found = cancelled
        if !(event.wasCancelled && phase == .active) {
            found.append(Candidate(outcome: refusal ?? .returned, state: state))
        }
        guard isArmed, phase == .active else { return found }
        found.append(result(.connectionLost) { $0.lose() })
        for outcome in [self, state] {
            let verdict = outcome.committed == committed ? state.committed == committed ? nil : "aborted" : "committed"
            found.append(
                result(.commitOutcomeUnknown, value: verdict) { unknown in
                    unknown.forget()
                    unknown.endScopes()
                    unknown.mayBeCommitted = true
                    (unknown.committed, unknown.prepared) = (outcome.committed, outcome.prepared)
                })
        }
        return found
    }

    private func rollback() -> [Candidate] {
        if phase == .closed { return [result(.sessionClosed)] }
        return [
            result(.returned) { state in
                state.rollBackByHand()
                state.endScopes()
            }
        ]
    }

    private mutating func close() {
        switch phase {
        case .active where borrowsOuter && outer != nil: leaveOuterOpen()
        case .failed where borrowsOuter && outer != nil: isOuterFailed = true
        case .pending, .active, .failed, .lost: finish(isCommitted: false)
        case .idle, .closed: break
        }
        fire()
        phase = .closed
    }

    // MARK: Scopes

    private func entering(_ scope: ProgramScope, _ event: ProgramEvent) -> [Candidate] {
        switch scope.kind {
        case .lock: return flight([.nothing], event).map { entered($0, scope) }
        case .timeout: return phase == .closed ? [result(.sessionClosed)] : [entered(result(.returned), scope)]
        case .savepoint, .transaction: break
        }
        if phase == .closed { return [result(.sessionClosed)] }
        switch phase {
        case .failed, .lost: return [result(.transactionAborted)]
        default: if isEnded { return [result(.invalidState)] }
        }
        let isWhole = scope.kind == .transaction && phase == .idle
        let name = "scope \(scope.id)"
        return [
            result(.returned) { state in
                if phase == .idle { state.phase = .pending }
                if !isWhole { state.riders.append(.savepoint(name)) }
                state.scopes.append(Scope(id: scope.id, savepoint: isWhole ? nil : name, isWhole: isWhole))
            }
        ]
    }

    private func entered(_ candidate: Candidate, _ scope: ProgramScope) -> Candidate {
        guard candidate.outcome == .returned else { return candidate }
        var candidate = candidate
        candidate.state.scopes.append(Scope(id: scope.id, owns: false, isEnded: candidate.state.isEnded))
        return candidate
    }

    private func leaving(_ scope: ProgramScope, _ body: Outcome, _ event: ProgramEvent) -> [Candidate] {
        guard let index = scopes.lastIndex(where: { $0.id == scope.id }) else { return [] }
        let found = scopes[index]
        func popped(_ outcome: Outcome, _ change: (inout SessionModel) -> Void = { _ in }) -> Candidate {
            result(outcome) { state in
                change(&state)
                state.scopes.removeSubrange(index...)
            }
        }
        guard found.owns else { return [popped(body)] }
        if phase == .closed {
            let ending = body == .returned ? [Outcome.sessionClosed] : [body]
            return (found.isEnded ? ending + [body] : ending).map { popped($0) }
        }
        if found.isEnded { return [popped(body)] }
        if found.isWhole { return leavingWhole(body, event).map { $0.state.popped($0.outcome, index) } }
        guard body == .returned else {
            return undoing(found).map { $0.popped(body, index) }
        }
        switch phase {
        case .failed, .lost: return undoing(found).map { $0.popped(.transactionAborted, index) }
        case .idle, .pending, .active, .closed: break
        }
        return [
            popped(body) { state in
                guard let name = found.savepoint else { return }
                if let unsent = state.riders.firstIndex(of: .savepoint(name)) {
                    state.riders.remove(at: unsent)
                } else {
                    state.riders.append(.release(name))
                }
            }
        ]
    }

    private func popped(_ outcome: Outcome, _ index: Int) -> Candidate {
        result(outcome) { $0.scopes.removeSubrange(index...) }
    }

    private func leavingWhole(_ body: Outcome, _ event: ProgramEvent) -> [Candidate] {
        guard body == .returned else {
            return [phase == .idle ? result(body) : Candidate(outcome: body, state: rollback()[0].state)]
        }
        return commit(event).map { candidate in
            guard candidate.outcome != .returned, candidate.state.phase != .idle else { return candidate }
            return Candidate(outcome: candidate.outcome, state: candidate.state.rollback()[0].state)
        }
    }

    /// Back to the savepoint. One that was taken away from the scope cannot say what is left of the transaction.
    private func undoing(_ scope: Scope) -> [SessionModel] {
        var state = self
        guard phase != .lost, phase != .idle else { return [self] }
        guard let name = scope.savepoint else {
            guard phase != .pending else { return [self] }
            state.lose()
            return [state]
        }
        if let unsent = riders.firstIndex(of: .savepoint(name)) {
            state.riders.removeSubrange(unsent...)
            return [state]
        }
        guard said.contains(name) else { return [self] }
        if let index = saves.lastIndex(where: { $0.name == name }) {
            (state.work, state.riders, state.phase) = (saves[index].work, [], .active)
            state.saves.removeSubrange(index...)
        } else {
            state.lose()
        }
        guard isArmed else { return [state] }
        var lost = self
        lost.lose()
        return [state, lost]
    }

    // MARK: The whole

    /// What the raw connection says, alone or in the transaction that was open before.
    private func outside(_ statement: Statement, _ event: ProgramEvent) -> [Candidate] {
        let cancelled = event.wasCancelled ? [result(.cancelled)] : []
        if isConnectionGone { return cancelled + [result(.connectionLost)] }
        guard cancelled.isEmpty else { return cancelled }
        if isOuterFailed { return [result(statement == .commit ? .returned : .server("25P02"))] }
        var state = self
        (state.work, state.onCommit, state.onRollback) = (outer ?? Work(), [], [])
        var refusal = state.perform(statement)
        if outer != nil, statement != .commit {
            state.outer = state.work
        } else if refusal == nil, statement != .commit {
            refusal = state.end(isCommitted: true)
        }
        return [Candidate(outcome: refusal ?? .returned, state: state)]
    }

    private func beginning(_ number: Int) -> [Candidate] {
        guard number == attempt + 1 else { return [] }
        let former = number == 1 ? [self] : closing(nil).filter(\.mayRetry).map(\.state)
        return former.map { state in
            state.result(.returned) { state in
                state.attempt = number
                state.scopes = []
                state.phase = .idle
                state.bodyEnding = .returned
                guard let how = state.container else { return }
                state.scopes = [Scope(id: 0, isWhole: true)]
                state.phase = .pending
                state.isReadOnly = how == .readOnly
            }
        }
    }

    private func finishing(_ event: ProgramEvent) -> [Candidate] {
        closing(event).flatMap { end -> [Candidate] in
            let last = Candidate(outcome: end.outcome, state: end.state)
            guard end.mayRetry, attempt < maxAttempts else { return [last] }
            return event.isCancelled ? [last, Candidate(outcome: .cancelled, state: end.state)] : []
        }
    }

    private struct End {
        var outcome: Outcome
        var mayRetry: Bool
        var state: SessionModel
    }

    /// The end of the outermost scope.
    private func closing(_ event: ProgramEvent?) -> [End] {
        var event = event ?? ProgramEvent(what: .finished)
        event.isCancelled = event.isCancelled || bodyEnding == .cancelled
        guard container != nil, bodyEnding == .returned, scopes.first?.isEnded == false else {
            return [closed(bodyEnding)]
        }
        guard phase != .closed else { return [closed(.sessionClosed)] }
        return commit(event).map { $0.state.closed($0.outcome) }
    }

    private func closed(_ outcome: Outcome) -> End {
        var state = self
        state.close()
        let isConflict: Bool =
            switch outcome {
            case .server(let code): code == "40001" || code == "40P01"
            case .connectionLost: true
            case .transactionAborted: phase == .failed("40001") || phase == .failed("40P01") || phase == .lost
            default: false
            }
        return End(outcome: outcome, mayRetry: container != nil && isConflict && !mayBeCommitted, state: state)
    }
}

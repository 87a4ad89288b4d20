import PostgresSessions

/// What must come out of a program: one of the states in which its session and its server may be, by the words of the public
/// interface and by PostgreSQL's rules. Where a fault leaves more than one possible, there are several models of a program, and
/// each event strikes out those that do not fit.
struct SessionModel: Hashable {
    enum Phase: Hashable {
        case idle, pending, active, lost, closed
        /// nil: with a code that is nobody's concern.
        case failed(SQLState?)
    }

    /// What a savepoint brings back.
    struct Work: Hashable {
        var rows: Set<Int> = []
        var isDeferred = false
        /// By what PREPARE TRANSACTION does not take: a channel, a cursor that outlives the transaction.
        var isTied = false
        var tenant = ""
    }

    struct Save: Hashable {
        let name: String
        var work: Work
    }

    /// What rides ahead of the next statement.
    enum Rider: Hashable { case savepoint(String), release(String) }

    struct Scope: Hashable {
        let id: Int
        var savepoint: String?
        /// Of a transaction or savepoint, which `commit` by hand ends.
        var owns = true
        var isEnded = false
        /// A nested transaction where none was open.
        var isWhole = false
    }

    struct Candidate {
        var outcome: Outcome
        var state: SessionModel
        var value: String?
    }

    let tenant: String
    /// Somebody ends processes.
    let isArmed: Bool
    let maxAttempts: Int
    /// Of the transaction that is the outermost scope, if one is.
    let container: Characteristics?

    /// What is open around a joined session; it is a savepoint of it.
    var outer: Work?
    /// The connection is the only one that the session has.
    let isJoined: Bool
    let isSandbox: Bool
    var isConnectionGone = false
    /// Something has happened of which nobody says what it means.
    var isBeyond = false
    /// By its mode: its `commit` and `rollback` are those of what is open around it; or it may only roll that back.
    let endsOuter: Bool
    let borrowsOuter: Bool
    /// A statement has failed, and nobody has said ROLLBACK.
    var isOuterFailed = false

    var phase = Phase.idle
    /// `begin` has asked for characteristics.
    var hasDemands = false
    var isReadOnly = false
    var work = Work()
    /// The same, by a temporary table; no savepoint brings that back.
    var isTiedForGood = false
    var saves: [Save] = []
    var riders: [Rider] = []
    /// Savepoints of scopes that the server has heard of.
    var said: Set<String> = []
    var scopes: [Scope] = []
    var committed: Set<Int> = []
    var prepared: [Int: Set<Int>] = [:]
    var onCommit: [Int] = []
    var onRollback: [Int] = []
    var due: [Int] = []
    var fired: [Int] = []
    var mayBeCommitted = false
    var attempt = 0
    var bodyEnding = Outcome.returned

    init(_ program: SessionProgram) {
        tenant = program.hasLocals ? "7" : ""
        isArmed = program.isArmed
        if case .sandbox = program.container { isSandbox = true } else { isSandbox = false }
        if isSandbox { outer = Work() }
        if case .joined(_, let isOuterOpen) = program.container {
            isJoined = true
            if isOuterOpen { outer = Work(rows: [SessionProgram.rowBefore]) }
        } else {
            isJoined = false
        }
        if case .joined(let mode, _) = program.container {
            (endsOuter, borrowsOuter) = (mode == .controlFully, [.rollbackOnly, .conditionalSavepoint].contains(mode))
        } else {
            (endsOuter, borrowsOuter) = (false, false)
        }
        if case .transaction(let how, let attempts) = program.container {
            (container, maxAttempts) = (how, attempts)
        } else {
            (container, maxAttempts) = (nil, 1)
        }
    }

    var status: TransactionStatus? {
        switch phase {
        case .idle: .idle
        case .pending, .active: .active
        case .failed(let code?): .failed(code)
        case .failed(nil): nil
        case .lost: .invalidated
        case .closed: .closed
        }
    }

    func fits(_ event: ProgramEvent) -> Bool {
        guard fired == event.fired else { return false }
        switch event.what {
        case .finished, .outside: return true
        case .step, .entered, .left, .attempt, .bodyEnded: break
        }
        guard case .failed(nil) = phase else { return status == event.status }
        guard case .failed = event.status else { return false }
        return true
    }
}

// MARK: The server

extension SessionModel {
    /// BEGIN, and what rides with it.
    mutating func open() {
        guard phase == .idle || phase == .pending else { return }
        phase = .active
        guard let outer else {
            work = Work(tenant: tenant)
            return
        }
        work = outer
        if !tenant.isEmpty { work.tenant = tenant }
        if endsOuter { self.outer = nil }
    }

    /// `commit` by hand, or its like: of a savepoint, where the session has joined a transaction.
    mutating func commitByHand() -> Outcome? {
        guard outer != nil else { return end(isCommitted: true) }
        if phase == .active { leaveOuterOpen() }
        finish(isCommitted: true)
        return nil
    }

    mutating func leaveOuterOpen() {
        var trial = self
        // A savepoint that is to be released and has vanished fails the outer transaction; in one that a text has opened, and that
        // stays, the next transaction would be another thing.
        isBeyond = trial.ride(riders.count) != nil
        if borrowsOuter, trial.saves.contains(where: { !trial.said.contains($0.name) }) { isBeyond = true }
        outer = trial.work
    }

    /// `rollback` by hand, or its like.
    mutating func rollBackByHand() {
        if borrowsOuter, phase != .idle && phase != .pending { outer = nil }
        finish(isCommitted: false)
    }

    /// One statement in an open transaction; what the server, or the library, says to it if not yes.
    mutating func perform(_ statement: Statement) -> Outcome? {
        switch statement {
        case .row(let id):
            guard !isReadOnly else { return fail("25006") }
            work.rows.insert(id)
        case .duplicate: return fail(isReadOnly ? "25006" : "23505")
        case .deferredDuplicate:
            guard !isReadOnly else { return fail("25006") }
            work.isDeferred = true
        case .division: return fail("22012")
        case .syntax: return fail("42601")
        case .conflict(let code, let attempts): if attempt <= attempts { return fail(code) }
        case .checkConstraints: if work.isDeferred { return fail("23505") }
        case .tenant(let tenant): work.tenant = tenant
        case .leave(.table, _):
            guard !isReadOnly else { return fail("25006") }
            isTiedForGood = true
        case .leave(.listen, _), .leave(.cursor, _): work.isTied = true
        case .leave, .nothing, .begin, .deallocateAll: break
        case .commit, .rollback, .commitAndChain, .rollbackAndChain:
            // Not sent.
            guard !isSandbox else { return .encoding }
            return end(
                isCommitted: statement == .commit || statement == .commitAndChain,
                chains: statement == .commitAndChain || statement == .rollbackAndChain)
        case .savepoint(let name): saves.append(Save(name: name, work: work))
        case .release(let name):
            guard let index = saves.lastIndex(where: { $0.name == name }) else { return fail("3B001") }
            saves.removeSubrange(index...)
        case .rollbackTo(let name):
            guard let index = saves.lastIndex(where: { $0.name == name }) else { return fail("3B001") }
            work = saves[index].work
            saves.removeSubrange((index + 1)...)
        case .endOfBackend:
            lose()
            return .connectionLost
        case .sleep:
            phase = .failed(nil)
            return .statementTimedOut
        }
        return nil
    }

    private mutating func fail(_ code: SQLState) -> Outcome {
        phase = .failed(code)
        return .server(code)
    }

    /// COMMIT or ROLLBACK, by whomever.
    mutating func end(isCommitted: Bool, chains: Bool = false) -> Outcome? {
        guard !(isCommitted && work.isDeferred) else {
            outer = nil
            finish(isCommitted: false)
            return .server(.uniqueViolation)
        }
        outer = nil
        if isCommitted { committed.formUnion(work.rows) }
        let wasReadOnly = isReadOnly
        finish(isCommitted: isCommitted, isHome: !chains)
        if chains {
            isReadOnly = wasReadOnly
            open()
        }
        return nil
    }

    /// The transaction is over, and the connection is home.
    mutating func finish(isCommitted: Bool, isHome: Bool = true) {
        due += isCommitted ? onCommit : onRollback
        forget()
        if isCommitted { mayBeCommitted = true }
        if isHome { fire() }
    }

    /// Nothing is open any more, and nobody is told.
    mutating func forget() {
        phase = .idle
        (isReadOnly, isTiedForGood, hasDemands) = (false, false, false)
        (work, saves, riders, onCommit, onRollback) = (Work(), [], [], [], [])
        for index in scopes.indices { scopes[index].savepoint = nil }
    }

    mutating func fire() {
        fired += due
        due = []
    }

    mutating func lose() {
        (isConnectionGone, outer) = (isJoined, isSandbox ? Work() : nil)
        phase = .lost
        (work, saves, riders) = (Work(), [], [])
    }

    private mutating func say(_ savepoint: String) -> Outcome? {
        said.insert(savepoint)
        return perform(.savepoint(savepoint))
    }

    /// The first so many riders, as they stand ahead of a statement.
    mutating func ride(_ count: Int) -> Outcome? {
        let riding = riders.prefix(count)
        riders = []
        for rider in riding {
            let refusal =
                switch rider {
                case .savepoint(let name): say(name)
                case .release(let name): perform(.release(name))
                }
            if let refusal { return refusal }
        }
        return nil
    }
}

// MARK: One flight

extension SessionModel {
    func result(_ outcome: Outcome, value: String? = nil, _ change: (inout SessionModel) -> Void = { _ in })
        -> Candidate
    {
        var state = self
        change(&state)
        return Candidate(outcome: outcome, state: state, value: value)
    }

    var isEnded: Bool { scopes.contains { $0.isEnded } }

    /// Why nothing is sent.
    func refusals(_ event: ProgramEvent) -> [Candidate]? {
        if phase == .closed { return [result(.sessionClosed)] }
        if isEnded { return [result(.invalidState)] }
        var found: [Candidate] = event.wasCancelled ? [result(.cancelled)] : []
        switch phase {
        case .failed, .lost: found.append(result(.transactionAborted))
        default: break
        }
        if event.isCancelled, !found.isEmpty { found.append(result(.cancelled)) }
        if found.isEmpty, phase == .idle || phase == .pending {
            if isConnectionGone { return [result(.connectionLost)] }
            if outer != nil, hasDemands { return [result(.invalidState)] }
        }
        return found.isEmpty ? nil : found
    }

    /// Statements that leave together, and COMMIT behind them.
    func flight(
        _ statements: [Statement], _ event: ProgramEvent, thenCommit: Bool = false,
        value: (SessionModel) -> String? = { _ in nil }
    ) -> [Candidate] {
        if let refusals = refusals(event) { return refusals }
        var state = self
        state.open()
        var refusal = state.ride(riders.count)
        for statement in statements where refusal == nil { refusal = state.perform(statement) }
        let seen = value(state)
        if refusal == nil, thenCommit {
            refusal = state.commitByHand()
            state.endScopes()
        }
        let ordinary = Candidate(outcome: refusal ?? .returned, state: state, value: refusal == nil ? seen : nil)
        let commits = thenCommit || statements.contains { [.commit, .commitAndChain].contains($0) }
        return [ordinary] + interruptions(event, commits: commits, thenCommit, as: state)
    }

    /// What may come in between, in a flight that would have led to the other state.
    func interruptions(
        _ event: ProgramEvent, commits: Bool = false, _ thenCommit: Bool, as whole: SessionModel
    ) -> [Candidate] {
        var found: [Candidate] = []
        if isArmed {
            found.append(result(.connectionLost) { $0.lose() })
            if commits {
                for rows in [committed, whole.committed] {
                    let verdict = rows == whole.committed ? rows == committed ? nil : "committed" : "aborted"
                    found.append(
                        result(.commitOutcomeUnknown, value: verdict) { state in
                            state.forget()
                            if thenCommit { state.endScopes() }
                            (state.committed, state.mayBeCommitted) = (rows, true)
                        })
                }
            }
        }
        if event.isCancelled {
            found.append(result(.cancelled))
            found.append(result(.cancelled) { $0.lose() })
            // Answered all the same; it cannot be committed any more.
            if !commits { found.append(Candidate(outcome: .cancelled, state: whole)) }
            found += cutShort(.cancelled)
        }
        return found
    }

    /// The statement was ended on the server, behind any of the riders.
    func cutShort(_ outcome: Outcome) -> [Candidate] {
        (0...riders.count).map { count in
            result(outcome) { state in
                state.open()
                _ = state.ride(count)
                state.phase = .failed(nil)
            }
        }
    }

    /// `commit` or `rollback` by hand: nothing more is said in the scopes that owned the transaction.
    mutating func endScopes() {
        guard let first = scopes.firstIndex(where: { $0.owns }) else { return }
        for index in first..<scopes.count { scopes[index].isEnded = true }
    }
}

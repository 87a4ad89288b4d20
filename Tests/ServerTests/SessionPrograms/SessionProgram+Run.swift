import PostgresSessions
import PostgresSessionsTesting
import Testing

extension Statement {
    /// `base` is where the program's own numbers begin.
    func query(_ base: Int, attempt: Int) -> SQLQuery {
        switch self {
        case .row(let id): "INSERT INTO marks VALUES (\(base + id))"
        case .duplicate: "INSERT INTO marks VALUES (0)"
        case .deferredDuplicate: "INSERT INTO pairs VALUES (0)"
        case .division: "SELECT 1 / 0"
        case .syntax: "SELECT FROM FROM"
        case .nothing: "SELECT 1"
        case .conflict(let code, let attempts):
            attempt <= attempts
                ? SQLQuery(unsafeRaw: "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '\(code)'; END $$")
                : "SELECT 1"
        case .deallocateAll: "DEALLOCATE ALL"
        case .checkConstraints:
            "DO $$ BEGIN SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; END $$"
        case .tenant(let tenant): "SET LOCAL app.tenant TO \(unsafeRaw: "'\(tenant)'")"
        case .leave(let kind, let number): kind.query(base + number)
        case .begin: "BEGIN"
        case .commit: "COMMIT"
        case .rollback: "ROLLBACK"
        case .commitAndChain: "COMMIT AND CHAIN"
        case .rollbackAndChain: "ROLLBACK AND CHAIN"
        case .savepoint(let name): "SAVEPOINT \(unsafeRaw: name)"
        case .release(let name): "RELEASE SAVEPOINT \(unsafeRaw: name)"
        case .rollbackTo(let name): "ROLLBACK TO SAVEPOINT \(unsafeRaw: name)"
        case .endOfBackend: "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"
        case .sleep: "SELECT pg_sleep(30)"
        }
    }
}

extension Leftover {
    fileprivate func query(_ number: Int) -> SQLQuery {
        switch self {
        case .setting: "SET app.trace TO 'something'"
        case .function: "SELECT set_config('app.trace', 'something', false)"
        case .listen: "LISTEN left_\(unsafeRaw: "\(number)")"
        case .lock: "SELECT pg_advisory_lock(\(number))"
        case .table: "CREATE TEMP TABLE left_\(unsafeRaw: "\(number)") (id int8)"
        case .prepared: "PREPARE left_\(unsafeRaw: "\(number)") AS SELECT 1"
        case .cursor: "DECLARE left_\(unsafeRaw: "\(number)") CURSOR WITH HOLD FOR SELECT 1"
        }
    }
}

/// One run of a program: what it says to the server, and what it sees.
struct ProgramRun: Sendable {
    static let width = 10_000

    let program: SessionProgram
    let shop: Shop
    let base: Int
    let events = Journal<ProgramEvent>()
    let fired = Journal<Int>()
    private let canceller = Journal<@Sendable () -> Void>()
    private let attempts = Journal<Int>()
    let helpers = Journal<Task<Void, Never>>()

    init(_ program: SessionProgram, in shop: Shop, number: Int) {
        (self.program, self.shop) = (program, shop)
        // Names and keys are the whole server's.
        base = (shop.number * 100_000 + number) * Self.width
    }

    func gid(_ number: Int) -> String { "program_\(base)_\(number)" }

    func run() async {
        let task = Task(executorPreference: testExecutor) { await runInTask() }
        canceller.append { task.cancel() }
        await task.value
        for helper in helpers.all { await helper.value }
    }

    private func runInTask() async {
        let options = SessionOptions(
            statementTimeout: program.hasLocals ? .seconds(60) : nil,
            locals: program.hasLocals ? ["app.tenant": "7"] : [:], tracksOutcome: program.tracksOutcome)
        let ending = await outcome {
            switch program.container {
            case .session:
                try await shop.engine.withSession(options: options) { session in try await runBody(session) }
            case .sandbox:
                try await shop.engine.withSandbox { engine in
                    try await engine.withSession(options: options) { session in try await runBody(session) }
                }
            case .manual:
                let session = shop.engine.makeSession(options: options)
                do {
                    try await runBody(session)
                    await session.close()
                } catch {
                    await session.close()
                    throw error
                }
            case .joined(let mode, let isOuterOpen):
                return try await runJoined(mode, isOuterOpen, options)
            case .transaction(let characteristics, let attempts):
                try await shop.engine.withTransaction(
                    isolationLevel: characteristics.level, accessMode: characteristics.mode,
                    retry: attempts == 1
                        ? .never : .onConflict(maxAttempts: attempts, baseDelay: .milliseconds(1)), options: options
                ) { session in try await runBody(session) }
            }
        }
        if case .joined = program.container { return }
        note(ProgramEvent(what: .finished, outcome: ending), false)
    }

    private func runJoined(_ mode: JoinTransactionMode, _ isOuterOpen: Bool, _ options: SessionOptions) async throws {
        try await shop.engine.withConnection { connection in
            if isOuterOpen {
                try await connection.execute("BEGIN")
                try await connection.execute(query(.row(SessionProgram.rowBefore)))
            }
            let ending = await outcome {
                try await connection.withSession(joinTransactionMode: mode, options: options) { session in
                    try await runBody(session)
                }
            }
            note(ProgramEvent(what: .finished, outcome: ending), false)
            for statement in [Statement.row(SessionProgram.rowBehind), .commit] {
                let wasCancelled = Task.isCancelled
                let ending = await outcome { try await connection.execute(query(statement)) }
                note(ProgramEvent(what: .outside(statement), outcome: ending), wasCancelled)
            }
        }
    }

    private func runBody(_ session: Session) async throws {
        let attempt = attempts.all.count + 1
        attempts.append(attempt)
        note(ProgramEvent(what: .attempt(attempt), status: session.transactionStatus), Task.isCancelled)
        let ending: Outcome
        do {
            try await run(program.steps, session, propagates: program.propagates, throwsAtItsEnd: false)
            ending = .returned
        } catch {
            note(ProgramEvent(what: .bodyEnded(Outcome(error)), status: session.transactionStatus), false)
            throw error
        }
        note(ProgramEvent(what: .bodyEnded(ending), status: session.transactionStatus), false)
    }

    private func note(_ event: ProgramEvent, _ wasCancelled: Bool) {
        var event = event
        event.fired = fired.all
        event.attempt = attempts.all.count
        event.wasCancelled = wasCancelled
        event.isCancelled = Task.isCancelled
        events.append(event)
    }

    private func run(_ steps: [Step], _ session: Session, propagates: Bool, throwsAtItsEnd: Bool) async throws {
        for step in steps {
            do {
                try await perform(step, session)
            } catch {
                if propagates { throw error }
            }
        }
        if throwsAtItsEnd { throw OutOfStock() }
    }

    // MARK: One step

    private func perform(_ step: Step, _ session: Session) async throws {
        if case .scope(let scope, let steps) = step { return try await perform(scope, steps, session) }
        let wasCancelled = Task.isCancelled
        var event = ProgramEvent(what: .step(step))
        do {
            event.value = try await say(step, session)
            event.status = session.transactionStatus
            note(event, wasCancelled)
        } catch {
            event.outcome = Outcome(error)
            event.status = session.transactionStatus
            if case .prepare = step {} else { event.value = await verdict(on: error) }
            note(event, wasCancelled)
            throw error
        }
    }

    /// What the server says of a COMMIT without an answer, where the transaction's id is known.
    private func verdict(on error: any Error) async -> String? {
        guard case EngineError.commitOutcomeUnknown(let commit) = error, commit.transactionID != nil else { return nil }
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            let verdict = await Task.detached { try? await shop.witness.outcome(of: commit) }.value
            if let verdict, verdict != .inProgress { return "\(verdict)" }
        }
        return "nothing"
    }

    private func perform(_ scope: ProgramScope, _ steps: [Step], _ session: Session) async throws {
        let wasCancelled = Task.isCancelled
        var ending: Outcome?
        func body(_ session: Session) async throws {
            note(ProgramEvent(what: .entered(scope), status: session.transactionStatus), wasCancelled)
            do {
                try await run(
                    steps, session, propagates: scope.propagates, throwsAtItsEnd: scope.throwsAtItsEnd)
                ending = .returned
            } catch {
                ending = Outcome(error)
                throw error
            }
        }
        var failure: (any Error)?
        do {
            switch scope.kind {
            case .savepoint: try await session.withSavepoint { session in try await body(session) }
            case .transaction: try await session.withTransaction { session in try await body(session) }
            case .timeout: try await session.withTimeout(.seconds(60)) { session in try await body(session) }
            case .lock:
                try await session.withAdvisoryLock(Int64(base + scope.id)) { session in try await body(session) }
            }
        } catch {
            failure = error
        }
        var event = ProgramEvent(what: .left(scope, body: ending), status: session.transactionStatus)
        event.outcome = failure.map { Outcome($0) } ?? .returned
        note(event, wasCancelled)
        if let failure { throw failure }
    }

    private func query(_ statement: Statement) -> SQLQuery { statement.query(base, attempt: attempts.all.count) }

    private func say(_ step: Step, _ session: Session) async throws -> String? {
        switch step {
        case .execute(let statement): try await session.execute(query(statement))
        case .batch(let statements): try await session.execute(batch: statements.map { query($0) })
        case .pipeline(let first, let second, let third):
            _ = try await session.pipeline(
                session.query(query(first)), session.query(query(second)), session.query(query(third)))
        case .commitWith(let statement): try await session.commit(with: query(statement))
        case .select, .countRows, .showTenant: return try await read(step, session)
        case .stream(let rows, let read, let throwing, let fails):
            return try await stream(rows, read, throwing, fails, session)
        case .copyOut(let rows, let read):
            let numbers = try await session.copyOut(
                "SELECT generate_series(1, \(unsafeRaw: "\(rows)"))::int8", as: Int.self)
            var count = 0
            for try await _ in numbers {
                count += 1
                if count >= read { break }
            }
            return String(count)
        case .copyIn(let rows, let fault): return try await copy(rows, fault, session)
        case .begin(let how): try await session.begin(isolationLevel: how.level, accessMode: how.mode)
        case .commitAtCut(let count, let direction):
            shop.link?.cut(afterBytes: count, direction)
            try await session.commit()
        case .commit: try await session.commit()
        case .rollback: try await session.rollback()
        case .close: await session.close()
        case .prepare(let number): try await session.prepare(as: gid(number))
        case .afterCommit(let number): session.afterCommit { await act(number) }
        case .afterRollback(let number): session.afterRollback { await act(number) }
        case .timeoutThatFires:
            try await session.withTimeout(.milliseconds(20)) { try await $0.execute(query(.sleep)) }
        case .timeoutThatHasPassed(let row):
            try await session.withTimeout(.milliseconds(1)) { session in
                await Task.detached { try? await Task.sleep(for: .milliseconds(3)) }.value
                try await session.execute(query(.row(row)))
            }
        case .cancel: withUnsafeCurrentTask { $0?.cancel() }
        case .cancelSoon(let microseconds):
            help(after: microseconds) { for cancel in canceller.all { cancel() } }
        case .endSoon(let microseconds): help(after: microseconds) { await endBackends() }
        case .cut(let count, let direction): shop.link?.cut(afterBytes: count, direction)
        case .invalidate: shop.engine.invalidate()
        case .insideStream(let statement):
            for try await _ in session.query("SELECT 1 FROM generate_series(1, 500)", as: Int.self).stream() {
                try await session.execute(query(statement))
            }
        case .scope: break
        }
        return nil
    }

    /// It may want a connection: the session's is home.
    private func act(_ number: Int) async {
        // A joined session's connection is not the pool's.
        if case .joined = program.container { return fired.append(number) }
        if await outcome(of: { try await shop.engine.execute("SELECT 1") }) == .checkoutTimedOut { fired.append(-1) }
        fired.append(number)
    }

    private func read(_ step: Step, _ session: Session) async throws -> String? {
        switch step {
        case .select(let rows):
            let numbers = try await session.query("SELECT generate_series(1, \(rows))::int8", as: Int.self).all()
            return String(numbers.count)
        case .countRows:
            let own: SQLQuery = "SELECT count(*) FROM marks WHERE id > \(base) AND id < \(base + Self.width)"
            return String(try await session.query(own, as: Int.self).one())
        default:
            let tenant: SQLQuery = "SELECT coalesce(current_setting('app.tenant', true), '')"
            return try await session.query(tenant, as: String.self).one()
        }
    }

    private func stream(
        _ rows: Int, _ read: Int, _ throwing: Bool, _ fails: Int?, _ session: Session
    ) async throws -> String {
        let numbers: SQLQuery = "SELECT g::int8 / (g - \(fails ?? -1)) FROM generate_series(1, \(rows)) AS g"
        var count = 0
        for try await _ in session.query(numbers, as: Int.self).stream() {
            count += 1
            guard count >= read else { continue }
            if throwing { throw OutOfStock() }
            break
        }
        return String(count)
    }

    private func copy(_ rows: [Int], _ fault: CopyFault, _ session: Session) async throws -> String {
        var ids = rows.map { base + $0 }
        if fault == .duplicate { ids.append(0) }
        guard fault == .thrown else { return String(try await session.copyIn("marks", columns: ["id"], rows: ids)) }
        let broken = AsyncThrowingStream<Int, any Error> { stream in
            for id in ids { stream.yield(id) }
            stream.finish(throwing: OutOfStock())
        }
        return String(try await session.copyIn("marks", columns: ["id"], rows: broken))
    }

    private func help(after microseconds: Int, _ action: @escaping @Sendable () async -> Void) {
        helpers.append(
            Task.detached {
                try? await Task.sleep(for: .microseconds(microseconds))
                await action()
            })
    }

    private func endBackends() async {
        _ = try? await shop.witness.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = \(shop.name)")
    }
}

extension Characteristics {
    var level: IsolationLevel? { self == .repeatableRead ? .repeatableRead : nil }
    var mode: AccessMode? { self == .readOnly ? .readOnly : nil }
}

import PoolCore
import PostgresSessions
import PostgresSessionsTesting

/// One unit of work on the bank's accounts: a row in the ledger, and its amount from one account to another.
struct ChaosUnit: Sendable {
    enum Kind: String, CaseIterable, Sendable {
        case plain, serializable, byHand, commitWith, batch, pipeline, savepoint, nested, lock, timeout
        case stream, copy, textCommit, textChain, twoPhase, read
        case autocommit, raw, joined
        case thrown, undone, dropped, sandbox
    }

    let id: Int
    let kind: Kind
    let source: Int
    let target: Int
    let amount: Int
    let attempts: Int
    let options: SessionOptions
    /// For what the kind wants to choose.
    let choice: Int

    static let accounts = 24

    init(id: Int, _ generator: inout SeededGenerator) {
        func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &generator) }
        self.id = id
        let kind = Kind.allCases[below(Kind.allCases.count)]
        // Each is a line in the log.
        self.kind = kind == .dropped && below(4) > 0 ? .plain : kind
        source = below(Self.accounts)
        target = (source + 1 + below(Self.accounts - 1)) % Self.accounts
        amount = 1 + below(9)
        attempts = [1, 1, 8][below(3)]
        choice = below(1000)
        options = SessionOptions(
            statementTimeout: [nil, nil, .milliseconds(below(200) + 1), .seconds(5)][below(4)],
            lockTimeout: [nil, .seconds(2), .milliseconds(below(30) + 1)][below(3)],
            locals: below(3) == 0 ? ["app.tenant": "7"] : [:], tracksOutcome: below(2) == 0)
    }

    var retry: RetryPolicy {
        attempts == 1 ? .never : .onConflict(maxAttempts: attempts, baseDelay: .milliseconds(2))
    }

    var gid: String { "chaos_\(id)" }

    var entry: SQLQuery {
        "INSERT INTO ledger VALUES (\(id), \(kind.rawValue), \(source), \(target), \(amount))"
    }

    /// What must never be seen: its unit undoes it.
    var ghost: SQLQuery { "INSERT INTO ledger VALUES (\(-id), \(kind.rawValue), \(source), \(target), 0)" }

    var moves: [SQLQuery] {
        [
            entry, "UPDATE accounts SET balance = balance - \(amount) WHERE id = \(source)",
            "UPDATE accounts SET balance = balance + \(amount) WHERE id = \(target)",
        ]
    }

    /// Whether listeners are told of it.
    var isTold: Bool { [.plain, .serializable, .byHand, .thrown, .undone].contains(kind) }

    private var words: [SQLQuery] {
        isTold ? moves + ["SELECT pg_notify(\(ChaosListener.channel), \(String(id)))"] : moves
    }

    /// The same as one statement.
    var whole: SQLQuery {
        """
        WITH entry AS (\(entry)) UPDATE accounts SET balance = balance + CASE id WHEN \(target) THEN \(amount)
        ELSE \(-amount) END WHERE id IN (\(source), \(target))
        """
    }

    /// Whether the unit's end, if it is one that is reported as unknown, has an id where the options ask for it.
    var knowsItsID: Bool {
        let asksBefore: [Kind] = [
            .plain, .serializable, .byHand, .savepoint, .nested, .lock, .stream, .batch, .pipeline,
        ]
        return options.tracksOutcome && asksBefore.contains(kind)
    }
}

/// What a unit's caller was told.
enum ChaosFate: Sendable {
    case committed
    case failed(String)
    case unknown(CommitOutcome?)
    /// The first phase was acknowledged, the second not.
    case prepared
}

/// What ran after the end of a unit.
struct ChaosActions: Sendable {
    let committed = Journal<Int>()
    let rolledBack = Journal<Int>()

    func register(_ session: borrowing Session, _ id: Int) {
        let (committed, rolledBack) = (committed, rolledBack)
        session.afterCommit { committed.append(id) }
        session.afterRollback { rolledBack.append(id) }
    }
}

extension ChaosUnit {
    /// Returns when the unit's caller has been told that it is committed.
    func play(on engine: Engine, _ actions: ChaosActions) async throws {
        switch kind {
        case .autocommit: try await engine.execute(whole)
        case .raw, .joined: try await playRaw(on: engine, actions)
        case .read:
            try await read(on: engine)
            throw OutOfStock()
        case .sandbox:
            try await engine.withSandbox { engine in
                try await engine.withTransaction { session in
                    for move in moves { try await session.execute(move) }
                }
                _ = try await engine.withConnection { try await $0.execute(ghost) }
            }
            throw OutOfStock()
        case .dropped:
            let session = engine.makeSession(options: options)
            for move in moves { try await session.execute(move) }
            throw OutOfStock()
        case .twoPhase:
            try await engine.withSession(options: options) { session in
                actions.register(session, id)
                for move in moves { try await session.execute(move) }
                try await session.prepare(as: gid)
            }
        case .byHand, .commitWith, .nested, .textCommit, .textChain:
            try await engine.withSession(options: options) { session in try await playSession(session, actions) }
        default:
            try await engine.withTransaction(
                isolationLevel: kind == .serializable ? .serializable : nil, retry: retry, options: options
            ) { session in
                actions.register(session, id)
                try await playTransaction(session)
            }
        }
    }

    /// Nobody gets another's answer, or rows that are not whole.
    private func read(on engine: Engine) async throws {
        func check(_ answer: Int, _ expected: Int) throws {
            if answer != expected { throw WrongAnswer(answer: answer, expected: expected) }
        }
        try check(try await engine.query("SELECT \(id)", as: Int.self).one(), id)
        var last = 0
        for try await number in engine.query(series, as: Int.self).stream() {
            try check(number, last + 1)
            last = number
            if number > choice { break }
        }
        let all = try await engine.query(series, as: Int.self).all()
        try check(all.count, choice * 5)
        try await engine.withConnection { connection in
            var last = 0
            for try await number in try await connection.copyOut(series, as: Int.self) {
                try check(number, last + 1)
                last = number
                if number > choice { break }
            }
            try check(try await connection.query("SELECT \(id)", as: Int.self).one(), id)
        }
    }

    private var series: SQLQuery { "SELECT generate_series(1, \(unsafeRaw: "\(choice * 5)"))::int8" }

    private func playRaw(on engine: Engine, _ actions: ChaosActions) async throws {
        try await engine.withConnection { connection in
            try await connection.execute("BEGIN")
            if kind == .raw {
                for move in moves { try await connection.execute(move) }
            } else {
                try await connection.withSession(joinTransactionMode: .createSavepoint) { session in
                    try await session.execute(ghost)
                    try await session.rollback()
                    for move in moves { try await session.execute(move) }
                    try await session.commit()
                    try await session.execute(ghost)
                }
            }
            let tag: String
            do {
                tag = try await connection.execute("COMMIT").tag
            } catch let error as ServerError {
                throw error
            } catch {
                throw EngineError.commitOutcomeUnknown(CommitOutcome(reason: "a text's COMMIT: \(error)"))
            }
            guard tag == "COMMIT" else { throw EngineError.transactionAborted("COMMIT was answered with \(tag)") }
        }
    }

    private func playSession(_ session: Session, _ actions: ChaosActions) async throws {
        if kind != .nested { actions.register(session, id) }
        switch kind {
        case .commitWith:
            if choice < 300 {
                try await session.commit(with: whole)
            } else {
                for move in moves.dropLast() { try await session.execute(move) }
                try await session.commit(with: moves[2])
            }
        case .nested:
            try await session.withTransaction { session in
                actions.register(session, id)
                for move in moves { try await session.execute(move) }
            }
        case .textCommit:
            if choice < 300 {
                try await session.execute(batch: moves + ["COMMIT"])
            } else {
                for move in moves { try await session.execute(move) }
                try await session.execute("COMMIT")
            }
        case .textChain:
            for move in moves { try await session.execute(move) }
            try await session.execute("COMMIT AND CHAIN")
            _ = try? await session.execute(ghost)
        default:
            for word in words { try await session.execute(word) }
            try await session.commit()
        }
    }

    private func playTransaction(_ session: Session) async throws {
        switch kind {
        case .batch: try await session.execute(batch: moves)
        case .pipeline:
            _ = try await session.pipeline(session.query(moves[0]), session.query(moves[1]), session.query(moves[2]))
        case .savepoint:
            try await session.execute(moves[0])
            do {
                try await session.withSavepoint { session in
                    try await session.execute(ghost)
                    throw OutOfStock()
                }
            } catch is OutOfStock {}
            try await session.withSavepoint { session in _ = try await session.execute(moves[1]) }
            try await session.withTransaction { session in _ = try await session.execute(moves[2]) }
        case .lock:
            try await session.withAdvisoryLock(Int64(choice % 3)) { session in
                for move in moves { try await session.execute(move) }
            }
        case .timeout:
            try await session.withTimeout(.milliseconds(choice % 60)) { session in
                for move in moves { try await session.execute(move) }
                if choice < 500 { try await session.execute("SELECT pg_sleep(0.02)") }
            }
        case .stream:
            try await session.execute(moves[0])
            let rows = session.query(series, as: Int.self).stream()
            for try await number in rows where number > choice { break }
            for move in moves.dropFirst() { try await session.execute(move) }
        case .copy:
            try await session.copyIn(
                "ledger", columns: ["id", "kind", "source", "target", "amount"],
                rows: [(id, kind.rawValue, source, target, amount)])
            for move in moves.dropFirst() { try await session.execute(move) }
            let numbers = try await session.copyOut(series, as: Int.self)
            for try await number in numbers where number > choice { break }
        default:
            for word in words { try await session.execute(word) }
            if kind == .thrown { throw OutOfStock() }
            if kind == .undone { try await session.rollback() }
        }
    }
}

/// Somebody else's, or a half.
struct WrongAnswer: Error {
    let answer: Int
    let expected: Int
}

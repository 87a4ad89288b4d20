import PoolCore
import PostgresSessions
import PostgresSessionsTesting
import Synchronization
import Testing

/// Several tellers on one engine, and what their units were told.
final class ChaosBank: Sendable {
    static let tellers = 12
    /// No unit may take longer, whatever is done to it.
    static let deadline = Duration.seconds(60)

    struct Entry: Sendable {
        let unit: ChaosUnit
        let fate: ChaosFate
        let actions: ChaosActions
        let verdict: TransactionOutcome?
    }

    let shop: Shop
    let server: TemporaryPostgres
    let seed: UInt64
    let entries = Journal<Entry>()
    let surprises = Journal<String>()
    let listener = ChaosListener()
    private let running: [Slot]
    private let stops = Journal<Bool>()

    /// The unit that a teller is busy with.
    private final class Slot: Sendable {
        struct Work: Sendable {
            let unit: ChaosUnit
            let task: Task<ChaosFate, Never>
            let since: ContinuousClock.Instant
        }
        let work = Mutex<Work?>(nil)
    }

    init(_ shop: Shop, on server: TemporaryPostgres, seed: UInt64) async throws {
        (self.shop, self.server, self.seed) = (shop, server, seed)
        running = (0..<Self.tellers).map { _ in Slot() }
        try await shop.witness.execute("CREATE TABLE accounts (id int8 PRIMARY KEY, balance int8 NOT NULL)")
        try await shop.witness.execute(
            "CREATE TABLE ledger (id int8 NOT NULL, kind text NOT NULL, source int8, target int8, amount int8)")
        let last = ChaosUnit.accounts - 1
        try await shop.witness.execute("INSERT INTO accounts SELECT g, 1000 FROM generate_series(0, \(last)) AS g")
    }

    /// Until `stop`. Returns the tellers.
    func open(_ round: Int) -> [Task<Void, Never>] {
        (0..<Self.tellers).map { teller in Task { await work(teller, round) } }
    }

    func stop() { stops.append(true) }
    private func isOpen(_ round: Int) -> Bool { stops.all.count < round }

    func cancel(_ teller: Int) { running[teller].work.withLock { $0 }?.task.cancel() }

    func checkHangs() throws {
        for slot in running {
            guard let work = slot.work.withLock({ $0 }), work.since + Self.deadline < .now else { continue }
            throw ChaosHang(unit: work.unit, statistics: shop.engine.statistics)
        }
    }

    private func work(_ teller: Int, _ round: Int) async {
        var generator = SeededGenerator(seed: seed &* 1000 &+ UInt64(round * 100 + teller))
        var number = 0
        while isOpen(round) {
            number += 1
            let unit = ChaosUnit(id: round * 1_000_000 + number * Self.tellers + teller, &generator)
            let actions = ChaosActions()
            let task = Task(executorPreference: testExecutor) { await self.play(unit, actions) }
            running[teller].work.withLock { $0 = Slot.Work(unit: unit, task: task, since: .now) }
            let fate = await task.value
            running[teller].work.withLock { $0 = nil }
            await note(unit, fate, actions)
            if case .failed("shutDown") = fate, round == 2 { return }
        }
    }

    // MARK: One unit

    private func play(_ unit: ChaosUnit, _ actions: ChaosActions) async -> ChaosFate {
        var isPrepared = false
        if unit.isTold { listener.events.append(.began(unit.id)) }
        do {
            try await unit.play(on: shop.engine, actions)
            if unit.kind == .twoPhase {
                isPrepared = true
                if unit.choice < 300 {
                    try await shop.engine.rollbackPrepared(unit.gid)
                    return .failed("rolled back")
                }
                try await shop.engine.commitPrepared(unit.gid)
            }
            return unit.kind == .undone ? .failed("undone") : .committed
        } catch {
            if isPrepared { return .prepared }
            return judged(error, unit)
        }
    }

    private func judged(_ error: any Error, _ unit: ChaosUnit) -> ChaosFate {
        if case EngineError.commitOutcomeUnknown(let outcome) = error {
            if unit.knowsItsID, outcome.transactionID == nil { surprise("\(error) without an id", unit) }
            return .unknown(outcome)
        }
        let outcome = Outcome(error)
        switch outcome {
        case .connectionLost, .cancelled, .statementTimedOut, .shutDown:
            return unit.kind == .autocommit ? .unknown(nil) : .failed("\(outcome)")
        case .checkoutTimedOut, .connectFailed, .transactionAborted: break
        case .server(let state):
            let expected: Set<SQLState> = ["40001", "40P01", "57014", "55P03", "57P01", "57P02", "57P03"]
            if !expected.contains(state) { surprise("\(error)", unit) }
        case .other:
            let isOwn = error is OutOfStock && [.thrown, .dropped, .sandbox, .read].contains(unit.kind)
            if !isOwn { surprise("\(error)", unit) }
        default: surprise("\(error)", unit)
        }
        return .failed("\(outcome)")
    }

    private func surprise(_ what: String, _ unit: ChaosUnit) { surprises.append("\(what), in \(unit)") }

    /// Asks the server, where the unit does not know.
    private func note(_ unit: ChaosUnit, _ fate: ChaosFate, _ actions: ChaosActions) async {
        var verdict: TransactionOutcome?
        switch fate {
        case .unknown(let outcome?) where outcome.transactionID != nil && unit.kind != .twoPhase:
            verdict = await surely { [shop] in
                let verdict = try await shop.witness.outcome(of: outcome)
                return verdict == .inProgress ? nil : verdict
            }
            if verdict == nil { surprise("no verdict on \(outcome)", unit) }
        case .prepared: await end(unit)
        default: break
        }
        entries.append(Entry(unit: unit, fate: fate, actions: actions, verdict: verdict))
    }

    /// The second phase, by somebody else.
    private func end(_ unit: ChaosUnit) async {
        let isEnded = await surely { [shop] in
            do {
                if unit.choice < 300 {
                    try await shop.witness.rollbackPrepared(unit.gid)
                } else {
                    try await shop.witness.commitPrepared(unit.gid)
                }
            } catch let error as ServerError where error.sqlState == .undefinedObject {}
            return true
        }
        if isEnded == nil { surprise("its second phase is refused", unit) }
    }

    private func surely<R: Sendable>(_ body: @Sendable () async throws -> R?) async -> R? {
        let end = ContinuousClock.now + Self.deadline
        while ContinuousClock.now < end {
            if let found = try? await body() { return found }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return nil
    }

    /// First phases of which nobody was told are rolled back: they would hold their locks for ever.
    func clear() async throws -> Int {
        let unknown = Set(
            entries.all.compactMap { entry -> String? in
                guard entry.unit.kind == .twoPhase, case .unknown = entry.fate else { return nil }
                return entry.unit.gid
            })
        let left = try await shop.witness.preparedTransactions().map(\.gid)
        for gid in left where unknown.contains(gid) { try? await shop.witness.rollbackPrepared(gid) }
        return left.count
    }
}

struct ChaosHang: Error {
    let unit: ChaosUnit
    let statistics: Engine.Statistics
}

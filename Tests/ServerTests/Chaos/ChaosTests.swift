import PoolCore
import PostgresSessions
import PostgresSessionsTesting
import Testing

/// Random units of work, several at a time, while everything around them fails.
///
/// `CHAOS_SEEDS=17` or `CHAOS_SEEDS=0..<100` in the environment makes those choices again, or others; the times are the machine's.
@Suite(.timeLimit(.minutes(60))) struct `A storm of faults` {
    @Test func `costs no cent, no acknowledged commit, no connection and no answer`() async throws {
        for seed in chosenSeeds("CHAOS_SEEDS", 2, atFullSize: 30) {
            try await withServer(settings: ["deadlock_timeout": "50ms", "max_connections": "60"]) { server in
                var generator = SeededGenerator(seed: seed)
                let pool = randomPool(&generator)
                let cacheSize = [0, 3, 256].randomElement(using: &generator) ?? 0
                try await withShop(pool, statementCacheSize: cacheSize, behindProxy: true, server: server) { shop in
                    try await storm(ChaosBank(shop, on: server, seed: seed), &generator)
                }
            }
        }
    }

    private func randomPool(_ generator: inout SeededGenerator) -> PoolOptions {
        func one<T>(of choices: T...) -> T { choices[Int.random(in: 0..<choices.count, using: &generator)] }
        var pool = PoolOptions(
            size: one(of: 1, 2, 4, 6), maxOverflow: one(of: 0, 0, 3),
            checkoutTimeout: one(of: .seconds(10), .seconds(1)),
            prePing: one(of: .automatic, .automatic(idleLongerThan: .milliseconds(5)), .always, .never),
            maxLifetime: one(of: nil, .milliseconds(200)), idleTimeout: one(of: nil, .milliseconds(50)))
        pool.minimumIdle = one(of: 0, 1)
        pool.order = one(of: .lifo, .fifo)
        pool.resetOnReturn = one(of: .rollback, .rollback, .discardAll, .none)
        return pool
    }

    private func storm(_ bank: ChaosBank, _ generator: inout SeededGenerator) async throws {
        let shop = bank.shop
        try await shop.engine.warmUp()
        let cleaner = Task {
            while !Task.isCancelled {
                _ = try? await bank.clear()
                try? await Task.sleep(for: .milliseconds(20))
            }
        }
        defer {
            cleaner.cancel()
            for _ in 1...2 { bank.stop() }
        }
        let listening = try await bank.listener.open(on: shop.engine)
        var tellers = bank.open(1)
        var adversary = ChaosAdversary(bank, seed: generator.next())
        try await adversary.rage(for: isFullSize ? .seconds(6) : .seconds(2))
        try await close(bank, tellers)

        // The pool may be between two attempts to connect for longer than a short checkout waits.
        try await eventually("a plain query works") {
            await outcome { try await shop.engine.query("SELECT 1", as: Int.self).one() } == .returned
        }
        try await eventually("the pool is whole: \(shop.engine.statistics)") {
            let now = shop.engine.statistics
            return now.leased + now.waiting + now.connecting + now.inTransit == 0 && now.opened - now.closed == now.idle
        }
        try await bank.listener.catchUp(shop)
        let units = bank.entries.all.map(\.unit)
        try await eventually("its sockets are the pool's and the listener's: \(shop.engine.statistics)") {
            try shop.proxy.openConnections == shop.engine.statistics.idle + 1
        }

        // Once more, and the end in the middle of it.
        tellers = bank.open(2)
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...300, using: &generator)))
        let grace = Duration.milliseconds(Int.random(in: 0...300, using: &generator))
        let begin = ContinuousClock.now
        await shop.engine.shutdown(grace: grace)
        #expect(ContinuousClock.now - begin < grace + .seconds(10))
        try await close(bank, tellers)
        #expect(await listening.value == .returned)
        let last = shop.engine.statistics
        #expect(last.leased + last.waiting + last.connecting + last.idle == 0, "\(last)")
        try await eventually("its sockets are closed") { try shop.proxy.openConnections == 0 }
        try await eventually("its backends are gone") { try await shop.backends().isEmpty }
        try await eventually("nothing is left prepared") { try await bank.clear() == 0 }
        try await judge(bank, adversary, heardOf: units)
    }

    private func close(_ bank: ChaosBank, _ tellers: [Task<Void, Never>]) async throws {
        bank.stop()
        let left = Journal<Bool>()
        let waiting = Task {
            for teller in tellers { await teller.value }
            left.append(true)
        }
        try await eventually("every unit ends", within: ChaosBank.deadline * 3) {
            try bank.checkHangs()
            return !left.all.isEmpty
        }
        await waiting.value
    }

    // MARK: Judgement

    private struct Line: Decodable {
        let id: Int
        let kind: String
        let source: Int
        let target: Int
        let amount: Int
    }

    private func judge(_ bank: ChaosBank, _ adversary: ChaosAdversary, heardOf units: [ChaosUnit]) async throws {
        let lines = try await bank.shop.witness.query("SELECT * FROM ledger", as: Line.self).all()
        var balances = [Int](repeating: 1000, count: ChaosUnit.accounts)
        for line in lines where line.id > 0 {
            balances[line.source] -= line.amount
            balances[line.target] += line.amount
        }
        let stored = try await bank.shop.witness.query("SELECT balance FROM accounts ORDER BY id", as: Int.self).all()
        #expect(stored == balances, "seed \(bank.seed)")
        let counts = Dictionary(grouping: lines, by: \.id).mapValues(\.count)
        let entries = bank.entries.all
        let mayReuseIDs = adversary.harms["crashed"] != nil
        let faults =
            entries.compactMap { fault(in: $0, counts, mayReuseIDs) } + bank.surprises.all.prefix(10)
            + bank.listener.faults(units, committed: Set(counts.keys))
        for fault in faults { Issue.record("seed \(bank.seed): \(fault)") }
        let known = Set(entries.map(\.unit.id))
        #expect(counts.keys.filter { !known.contains($0) } == [], "seed \(bank.seed)")
        var fates: [String: Int] = [:]
        for entry in entries { fates["\(entry.fate)".prefix { $0 != "(" }.description, default: 0] += 1 }
        report("seed \(bank.seed): \(entries.count) units \(fates), \(adversary.harms)")
    }

    private func fault(in entry: ChaosBank.Entry, _ counts: [Int: Int], _ mayReuseIDs: Bool) -> String? {
        let count = counts[entry.unit.id] ?? 0
        let isRight: Bool
        let committed = entry.actions.committed.all.count
        var told = 0
        switch entry.fate {
        case .committed:
            isRight = count == 1
            told = [.autocommit, .raw, .joined, .twoPhase].contains(entry.unit.kind) ? 0 : 1
        case .failed: isRight = count == 0
        case .prepared: isRight = count == (entry.unit.choice < 300 ? 0 : 1)
        case .unknown:
            switch entry.verdict {
            // A crash forgets what had not reached the disk, and gives its id to another transaction.
            case .committed: isRight = count == 1 || count == 0 && mayReuseIDs
            case .aborted: isRight = count == 0
            default: isRight = count <= (entry.unit.kind == .twoPhase ? 0 : 1)
            }
        }
        if !isRight {
            let verdict = entry.verdict.map { ", and the server says \($0)" } ?? ""
            return "\(count) rows of \(entry.unit), which was told \(entry.fate)\(verdict)"
        }
        guard committed != told else { return nil }
        return "\(committed) actions for its commit, in \(entry.unit), which was told \(entry.fate)"
    }
}

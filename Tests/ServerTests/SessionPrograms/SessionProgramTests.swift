import PoolCore
import PostgresSessions
import PostgresSessionsTesting
import Testing

/// Random programs on sessions, several at once on a small pool, judged by a model of what the public interface says.
///
/// `SESSION_SEEDS=17` or `SESSION_SEEDS=0..<100000` in the environment plays those seeds again, or others.
@Suite(.timeLimit(.minutes(60))) struct `A random program` {
    @Test func `sees and leaves what the model of sessions says`() async throws {
        try await withServer(settings: ["max_prepared_transactions": "60", "max_connections": "200"]) { server in
            let seeds = chosenSeeds("SESSION_SEEDS", 300, atFullSize: 10_000)
            let shares = (0..<parts).map { part in seeds.filter { $0 % UInt64(parts) == part } }
            let counts = try await withThrowingTaskGroup(of: ProgramCounts.self) { group in
                for share in shares { group.addTask { try await play(share, on: server) } }
                return try await group.reduce(into: ProgramCounts()) { $0.add($1) }
            }
            report(
                "\(counts.programs) programs, \(counts.steps) steps: \(counts.outcomes.sorted { $0.value > $1.value })")
            #expect(counts.programs >= seeds.count)
        }
    }

    private let parts = 4

    private func play(_ seeds: [UInt64], on server: TemporaryPostgres) async throws -> ProgramCounts {
        var counts = ProgramCounts()
        for (block, some) in Dictionary(grouping: seeds, by: { $0 / 200 }).sorted(by: { $0.key < $1.key }) {
            let size = 1 + Int(block % 3)
            let part = some[0] % UInt64(parts)
            try await withShop(
                PoolOptions(size: size, maxOverflow: 0), statementCacheSize: part == 2 ? 0 : 256,
                behindProxy: part % 2 == 1, server: server
            ) { shop in
                try await shop.witness.execute("CREATE TABLE marks (id int8 PRIMARY KEY)")
                try await shop.witness.execute("CREATE TABLE pairs (id int8 PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
                try await shop.witness.execute("INSERT INTO marks VALUES (0)")
                try await shop.witness.execute("INSERT INTO pairs VALUES (0)")
                // A server that was never reached would be an error at once.
                try await shop.engine.warmUp()
                let stage = ProgramStage(shop: shop, size: size)
                for seed in some { try await stage.play(seed, &counts) }
            }
        }
        return counts
    }
}

struct ProgramCounts: Sendable {
    var programs = 0
    var steps = 0
    var outcomes: [String: Int] = [:]

    mutating func add(_ other: ProgramCounts) {
        programs += other.programs
        steps += other.steps
        outcomes.merge(other.outcomes, uniquingKeysWith: +)
    }

    mutating func add(_ run: ProgramRun) {
        programs += 1
        steps += run.events.all.count
        for event in run.events.all { outcomes["\(event.outcome)", default: 0] += 1 }
    }
}

/// Where programs are played, and what is looked at behind them.
private struct ProgramStage {
    let shop: Shop
    let size: Int
    private let numbers = Journal<Int>()

    init(shop: Shop, size: Int) { (self.shop, self.size) = (shop, size) }

    /// A seed is a program, or a few at once.
    func play(_ seed: UInt64, _ counts: inout ProgramCounts) async throws {
        var generator = SeededGenerator(seed: seed)
        let kind = Int.random(in: 0..<8, using: &generator)
        let mix = ProgramMix(
            isCancelled: [1, 3, 4, 6].contains(kind), isEnded: [2, 3, 5, 6].contains(kind), isTimed: kind >= 4)
        let count = Bool.random(using: &generator) ? 1 : Int.random(in: 2...6, using: &generator)
        let programs = (0..<count).map { index in
            var program = SessionProgram.random(seed: seed &* 100 &+ UInt64(index), mix)
            program.isArmed = mix.isEnded && mix.isTimed
            return program
        }
        let runs = await play(programs)
        for run in runs { counts.add(run) }
        shop.link?.cut(afterBytes: .max, .toClient)
        shop.link?.cut(afterBytes: .max, .toServer)
        guard let (run, fault) = try await firstFault(runs) else { return }
        let small = try await shrunk(run.program)
        let shown = small ?? (run, fault)
        Issue.record(
            """
            seed \(seed), \(count) at once on \(size) connections: \(shown.1)
            \(small == nil ? "It did not happen again alone." : "Made small:")
            \(shown.0.program)
            \(shown.0.events.all.map { "    \($0)" }.joined(separator: "\n"))
            """)
    }

    private func play(_ programs: [SessionProgram]) async -> [ProgramRun] {
        await withTaskGroup(of: ProgramRun.self) { group in
            for program in programs {
                numbers.append(1)
                let run = ProgramRun(program, in: shop, number: numbers.all.count)
                group.addTask {
                    await run.run()
                    return run
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// Steps are left out for as long as the program fails without them.
    private func shrunk(_ program: SessionProgram) async throws -> (ProgramRun, String)? {
        var found: (ProgramRun, String)?
        for _ in 1...3 where found == nil { found = try await firstFault(await play([program])) }
        guard found != nil else { return nil }
        var left = 400
        search: while true {
            for smaller in found.unsafelyUnwrapped.0.program.smaller where left > 0 {
                left -= 1
                guard let fault = try await firstFault(await play([smaller])) else { continue }
                found = fault
                continue search
            }
            return found
        }
    }

    // MARK: Judgement

    private func firstFault(_ runs: [ProgramRun]) async throws -> (ProgramRun, String)? {
        var found: (ProgramRun, String)?
        for run in runs {
            let fault = try await fault(in: run)
            found = found ?? fault.map { (run, $0) }
        }
        if let found { return found }
        return try await leftovers().map { (runs[0], $0) }
    }

    private func fault(in run: ProgramRun) async throws -> String? {
        var models: Set = [SessionModel(run.program)]
        for event in run.events.all {
            let next = Set(models.flatMap { $0.after(event) })
            guard next.isEmpty else {
                models = next
                continue
            }
            let expected = models.flatMap { $0.candidates(event) }.map { candidate in
                let value = candidate.value.map { " = \($0)" } ?? ""
                return "\(candidate.outcome)\(value), \(candidate.state.phase), ran \(candidate.state.fired)"
            }
            _ = try await stored(by: run)
            return "unexpected: \(event)\n  instead of \(Array(Set(expected)).sorted().joined(separator: "\n    or "))"
        }
        let (rows, prepared) = try await stored(by: run)
        if models.contains(where: { $0.isBeyond || $0.committed == rows && Set($0.prepared.keys) == prepared }) {
            return nil
        }
        let expected = Set(models.map { "\($0.committed.sorted()), prepared \($0.prepared.keys.sorted())" })
        return "stored: \(rows.sorted()), prepared \(prepared.sorted()) instead of \(expected.sorted())"
    }

    /// The rows that are there, and the transactions that are prepared, which it ends.
    private func stored(by run: ProgramRun) async throws -> (rows: Set<Int>, prepared: Set<Int>) {
        let own: SQLQuery = "SELECT id FROM marks WHERE id > \(run.base) AND id < \(run.base + ProgramRun.width)"
        try await eventually("its transactions have ended") {
            let open: SQLQuery = """
                SELECT count(*) FROM pg_stat_activity WHERE application_name = \(shop.name) AND xact_start IS NOT NULL
                """
            return try await shop.witness.query(open, as: Int.self).one() == 0
        }
        let rows = try await shop.witness.query(own, as: Int.self).all()
        let waiting = try await shop.witness.preparedTransactions().map(\.gid)
        let prepared = (0..<ProgramRun.width / 10).filter { waiting.contains(run.gid($0)) }
        for number in prepared { try await shop.witness.rollbackPrepared(run.gid(number)) }
        return (Set(rows.map { $0 - run.base }), Set(prepared))
    }

    /// What the next borrowers would find.
    private func leftovers() async throws -> String? {
        try await eventually("every connection is home: \(shop.engine.statistics)") {
            shop.engine.statistics.leased == 0
        }
        return try await leftover(on: size)
    }

    private func leftover(on count: Int) async throws -> String? {
        guard count > 0 else { return nil }
        let question: SQLQuery = """
            SELECT concat_ws(' ', nullif(current_setting('app.trace', true), ''), nullif(current_setting('app.tenant', true), ''),
                nullif(current_setting('statement_timeout'), '0'), (SELECT string_agg(objid::text, ',') FROM pg_locks
                    WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
                (SELECT string_agg(name, ',') FROM pg_prepared_statements WHERE name LIKE 'left%'),
                (SELECT string_agg(name, ',') FROM pg_cursors WHERE name <> ''),
                (SELECT string_agg(channel, ',') FROM pg_listening_channels() AS channel),
                (SELECT string_agg(relname, ',') FROM pg_class WHERE relnamespace = pg_my_temp_schema()))
            """
        for _ in 1...5 {
            do {
                return try await shop.engine.withConnection { connection in
                    let left = try await connection.query(question, as: String.self).one()
                    return left.isEmpty ? try await leftover(on: count - 1) : "left behind: \(left)"
                }
            } catch EngineError.connectionLost {
                continue
            }
        }
        return "five connections in turn were lost"
    }
}

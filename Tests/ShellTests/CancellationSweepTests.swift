import PostgresSessions
import PostgresWire
import Synchronization
import Testing

/// What the server does at one stage of a unit of work's way, or another.
private enum Fate: CaseIterable { case ok, error, slow, never }

/// A stage at which something may go wrong, and at which the caller may be cancelled.
private enum Gap: CaseIterable {
    case connect, hook, ping, statement, end

    func stage(_ endsWithDiscard: Bool) -> Stage {
        switch self {
        case .connect: .connect
        case .hook: .statement("SET hooked")
        case .ping: .ping
        case .statement: .statement("SELECT 13")
        case .end: .statement(endsWithDiscard ? "DISCARD ALL" : "ROLLBACK")
        }
    }
}

/// One way through the gaps.
private struct Passage: CustomStringConvertible {
    var fates: [Fate]
    /// Where the caller is cancelled; nil: nowhere.
    var cancelled: Gap?
    var endsWithDiscard: Bool

    /// Every combination of fates over the gaps, 4⁵ of them, each cancelled at every gap and at none.
    static var all: [Passage] {
        let gaps = Gap.allCases.map(Optional.some) + [nil]
        return (0..<1024).flatMap { number in
            let fates = (0..<5).map { Fate.allCases[(number >> (2 * $0)) & 3] }
            return gaps.enumerated().map { index, gap in
                Passage(fates: fates, cancelled: gap, endsWithDiscard: (number ^ number >> 5 ^ index) & 1 == 0)
            }
        }
    }

    var description: String {
        let fates = zip(Gap.allCases, fates).map { "\($0) \($1)" }.joined(separator: ", ")
        return
            "\(fates), cancelled at \(cancelled.map { "\($0)" } ?? "no gap"), \(endsWithDiscard ? "DISCARD" : "ROLLBACK")"
    }
}

/// Sets on each new connection what the server may refuse.
private struct Hook: EngineObserver {
    func onConnect(_ connection: sending Connection) async throws { try await connection.execute("SET hooked TO on") }
}

private struct Rejected: Error {}

/// An engine and a server of its own, through which passages go one after another.
private struct Lane {
    let server: ScriptedServer
    let engine: Engine
    /// The gaps at which somebody was cancelled.
    let cancellations = Journal<Gap>()
    static let capacity = 2

    init() throws {
        server = try ScriptedServer()
        let pool = PoolOptions(
            size: 1, maxOverflow: 1, checkoutTimeout: .milliseconds(400), prePing: .always, resetOnReturn: .discardAll,
            connectTimeout: .milliseconds(200))
        engine = try Engine(Engine.Configuration(url: server.url, pool: pool, observers: [Hook()]))
    }

    /// Returns where callers were cancelled.
    func run(_ passages: some Sequence<Passage>) async throws -> [Gap] {
        // All lanes begin at once: on a slow machine the connect's deadline may pass.
        try await retrying { try await engine.warmUp() }
        for passage in passages { try await run(passage) }
        await engine.shutdown(grace: .seconds(1))
        try await eventually("\(server.open) sockets are left after the shutdown") { server.open == 0 }
        #expect(engine.statistics.opened == engine.statistics.closed)
        server.stop()
        return cancellations.all
    }

    private func run(_ passage: Passage) async throws {
        // The connection that stands is pinged by the caller, or fails to; then connects are due.
        script(passage)
        let caller = Task(executorPreference: testExecutor) { [engine] in
            // Through every gap: ping and statement on the old connection, then the same on a new one.
            for round in 0..<2 {
                if round == 1 { engine.invalidate() }
                _ = try? await engine.withTransaction { session in
                    try await session.execute("SELECT 13")
                    throw Rejected()
                }
            }
        }
        if let gap = passage.cancelled {
            let stage = gap.stage(passage.endsWithDiscard)
            server.onReach { [cancellations] moment in
                guard stage.means(moment), !caller.isCancelled else { return }
                caller.cancel()
                cancellations.append(gap)
            }
        }
        // What never comes comes later, when the caller has long given up, or is waiting still.
        let releaser = Task(executorPreference: testExecutor) { [server] in
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(25))
                server.release()
            }
        }
        await caller.value
        releaser.cancel()
        server.recover()
        try await check(passage)
    }

    private func script(_ passage: Passage) {
        for (gap, fate) in zip(Gap.allCases, passage.fates) {
            let reaction: Reaction
            switch fate {
            case .ok: continue
            case .error: reaction = gap == .connect ? .fatal("57P03") : .error("XX000")
            case .slow: reaction = .slow(milliseconds: 5)
            case .never: reaction = .hold
            }
            server.on(gap.stage(passage.endsWithDiscard), reaction, times: 1)
        }
    }

    private func check(_ passage: Passage) async throws {
        try await eventually("\(passage): all is quiet again: \(engine.statistics)") {
            server.release()
            let now = engine.statistics
            return now.leased == 0 && now.waiting == 0 && now.connecting == 0 && now.inTransit == 0
        }
        let now = engine.statistics
        #expect(now.opened - now.closed == now.idle, "\(passage): \(now)")
        #expect(now.idle <= Self.capacity, "\(passage): \(now)")
        let number = Int.random(in: 100..<1000)
        let answer = try await retrying { try await engine.echo(number) }
        #expect(answer == number, "\(passage)")
        try await eventually("\(passage): the server counts \(server.open) sockets, the pool says \(engine.statistics)")
        {
            let now = engine.statistics
            return now.opened - now.closed == server.open && now.idle == server.open
        }
    }

    /// The server is well; the back-off after its last refusal may not be over, and on a machine that is busy with all the
    /// lanes the engine's short deadlines may pass.
    private func retrying<R>(_ body: () async throws -> R) async throws -> R {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do {
                return try await body()
            } catch  where ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }
}

@Suite(.serialized, .timeLimit(.minutes(15))) struct `A caller that is cancelled in any gap` {
    @Test func `leaks nothing, whatever the server does at any stage`() async throws {
        let passages = Passage.all
        #expect(passages.count == 6 * 1024)
        let lanes = 32
        let cancelled = try await withThrowingTaskGroup(of: [Gap].self) { group in
            for lane in 0..<lanes {
                let share = stride(from: lane, to: passages.count, by: lanes).map { passages[$0] }
                group.addTask { try await Lane().run(share) }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        // Some fates keep a caller from some gaps; most reach most.
        for gap in Gap.allCases {
            let count = cancelled.count { $0 == gap }
            #expect(count >= 512, "only \(count) of 1024 callers were cancelled at \(gap)")
        }
    }
}

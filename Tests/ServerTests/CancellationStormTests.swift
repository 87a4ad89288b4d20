import PostgresSessions
import PostgresSessionsTesting
import Testing

/// J170 and S5, at full size a hundred thousand.
@Suite(.timeLimit(.minutes(isFullSize ? 60 : 5))) struct `Thousands of cancelled statements` {
    private struct Count: Equatable { var answered = 0, cancelled = 0, wrong: [String] = [] }

    /// Cancels each of its statements at another moment, before it is sent, while it runs or when it ends, until so many
    /// were cancelled; some get through.
    private func storm(_ shop: Shop, until goal: Int, seed: Int) async -> Count {
        var count = Count()
        var number = 0
        while count.cancelled < goal && count.wrong.isEmpty {
            let seconds = [0, 0.001, 0.02, 0.02][number % 4]
            let task = Task(executorPreference: testExecutor) {
                await outcome { try await shop.engine.execute("SELECT pg_sleep(\(seconds))") }
            }
            let moment = ContinuousClock.now + .microseconds(20 << ((number &* 5 &+ seed) % 10))
            while ContinuousClock.now < moment { await Task.yield() }
            task.cancel()
            switch await task.value {
            case .returned: count.answered += 1
            case .cancelled: count.cancelled += 1
            case let other: count.wrong.append("\(other)")
            }
            number += 1
        }
        return count
    }

    /// Asks until it is told to stop. Nobody cancels it, so nothing but its answer may come.
    private func neighbour(_ shop: Shop, until stop: Journal<Bool>) async -> Count {
        var count = Count()
        while stop.all.isEmpty {
            let number = count.answered
            do {
                let answer = try await shop.engine.query("SELECT \(number) FROM pg_sleep(0)", as: Int.self).one()
                if answer == number { count.answered += 1 } else { count.wrong.append("\(answer) for \(number)") }
            } catch {
                count.wrong.append("\(error)")
            }
        }
        return count
    }

    @Test func `never hit a neighbour's statement`() async throws {
        let goal = isFullSize ? 100_000 : 2_000
        try await withServer { server in
            try await withShop(PoolOptions(size: 6, maxOverflow: 0), server: server) { shop in
                let stop = Journal<Bool>()
                let neighbours = Task(executorPreference: testExecutor) {
                    await withTaskGroup(of: Count.self) { group in
                        for _ in 0..<2 { group.addTask { await neighbour(shop, until: stop) } }
                        return await group.reduce(into: []) { $0.append($1) }
                    }
                }
                let stormers = await withTaskGroup(of: Count.self) { group in
                    for seed in 0..<8 { group.addTask { await storm(shop, until: goal / 8, seed: seed) } }
                    return await group.reduce(into: [Count]()) { $0.append($1) }
                }
                stop.append(true)
                let asked = await neighbours.value
                #expect(stormers.flatMap(\.wrong) == [])
                #expect(asked.flatMap(\.wrong) == [])
                let cancelled = stormers.reduce(0) { $0 + $1.cancelled }
                let hits = await server.log().split(separator: "\n").count { $0.contains("due to user request") }
                #expect(cancelled >= goal)
                #expect(hits > goal / 10 && hits <= cancelled, "cancelled while the server was at it")
                let opened = shop.engine.statistics.opened
                #expect(opened <= 12, "no reconnect storm")
                report(
                    """
                    \(cancelled) cancelled, \(hits) of them inside the server, \(stormers.reduce(0) { $0 + $1.answered }) \
                    answered before; neighbours: \(asked.reduce(0) { $0 + $1.answered }) answered, none cancelled; \
                    \(opened) connections opened for a pool of 6
                    """)
            }
        }
    }
}

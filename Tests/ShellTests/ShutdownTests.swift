import PostgresSessions
import Synchronization
import Testing

/// A connection that the pool itself talks on (a ping, a reset) is closed only after that conversation: libpq's handle freed
/// under it was a crash once, and a hang more often.
@Suite struct `A pool that is shut down while it cleans` {
    @Test func `closes every connection, also those whose clean-up is under way or cut`() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<8 {
                group.addTask { for round in 0..<40 { try await live(isCut: (lane + round) % 2 == 0) } }
            }
            try await group.waitForAll()
        }
    }

    private func live(isCut: Bool) async throws {
        try await withServer { server in
            let pool = PoolOptions(size: 1, maxOverflow: 0, resetOnReturn: .discardAll)
            try await withEngine(on: server, pool) { engine in
                if isCut { server.on(.statement("DISCARD ALL"), .cut, times: 1) }
                try await engine.answers(1)
                try await engine.answers(2)
            }
        }
    }
}

@Suite struct `A pool that is shut down while it connects` {
    @Test func `answers a connect hook that asks it something at that moment`() async throws {
        let isHanging = Atomic<Bool>(false)
        let (answers, engines) = (Journal<Int>(), Journal<Engine>())
        let diary = Diary(each: { _ in
            isHanging.store(true, ordering: .relaxed)
            try await withTaskCancellationHandler {
                try await Task.sleep(for: .seconds(1000))
            } onCancel: {
                for engine in engines.all { answers.append(engine.statistics.connecting) }
            }
        })
        try await withServer { server in
            try await withEngine(on: server, observers: [diary]) { engine in
                engines.append(engine)
                let task = Task(executorPreference: testExecutor) { try await engine.echo(1) }
                try await eventually("the hook runs") { isHanging.load(ordering: .relaxed) }
                await engine.shutdown(grace: .zero)
                guard case EngineError.shutDown = try await failure(of: { try await task.value }) else {
                    return #expect(Bool(false), "it says why")
                }
                #expect(answers.all == [0])
            }
            engines.clear()
        }
    }

    @Test func `does not call that a failure to connect`() async throws {
        try await withServer { server in
            let diary = Diary()
            try await withEngine(on: server, observers: [diary]) { engine in
                server.on(.connect, .hold)
                let task = Task(executorPreference: testExecutor) { try await engine.echo(1) }
                try await eventually("it connects") { server.hasReached(.connect) }
                await engine.shutdown(grace: .zero)
                let error = try await failure { try await task.value }
                guard case EngineError.shutDown = error else { throw error }
                #expect(engine.statistics.lastConnectFailure == nil)
                #expect(diary.failures.all.isEmpty)
            }
        }
    }
}

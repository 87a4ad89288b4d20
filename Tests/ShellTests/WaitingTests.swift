import Foundation
import PostgresSessions
import Testing

private enum Fate: Hashable { case served, cancelled, timedOut, other(String) }

private func fate(_ body: () async throws -> Void) async -> Fate {
    do {
        try await body()
        return .served
    } catch is CancellationError {
        return .cancelled
    } catch EngineError.checkoutTimedOut {
        return .timedOut
    } catch {
        return .other("\(error)")
    }
}

@Suite(.timeLimit(.minutes(15))) struct `The time to wait for a connection` {
    @Test(arguments: [false, true])
    func `is one, however often the work is sent again`(inSession: Bool) async throws {
        let patience = Duration.seconds(2)
        try await withWarmEngine(PoolOptions(size: 1, maxOverflow: 0, checkoutTimeout: patience)) { server, engine in
            server.on(.statement("INSERT"), .hold, times: 1)
            let task = try await engine.withConnection { _ in
                let task = Task(executorPreference: testExecutor) {
                    await fate {
                        guard inSession else {
                            _ = try await engine.execute("INSERT")
                            return
                        }
                        try await engine.withTransaction { try await $0.execute("INSERT") }
                    }
                }
                try await eventually("it waits") { engine.statistics.waiting == 1 }
                return task
            }
            let start = ContinuousClock.now
            try await eventually("it is under way") { server.hasReached(.statement("INSERT")) }
            try await eventually("the time is up") { ContinuousClock.now - start > patience }
            server.say(ServerBytes.fatal("57P01"), thenClose: true)
            #expect(await task.value == .timedOut)
            #expect(server.count(.statement("INSERT")) == 1)
        }
    }
}

/// Holds an engine's connection, lets so many tasks wait for it, and calls the body while they do.
private func withWaiters(
    _ count: Int, at engine: Engine, timeout: Duration = .seconds(600),
    _ body: ([Task<Fate, Never>]) async throws -> Void
) async throws -> [Fate] {
    var tasks: [Task<Fate, Never>] = []
    try await engine.withConnection { _ in
        for _ in 0..<count {
            tasks.append(
                Task(executorPreference: testExecutor) {
                    await fate { try await engine.withConnection(checkoutTimeout: timeout) { _ in } }
                })
        }
        try await eventually("\(engine.statistics.waiting) of \(count) wait") { engine.statistics.waiting == count }
        try await body(tasks)
    }
    var fates: [Fate] = []
    for task in tasks { fates.append(await task.value) }
    return fates
}

@Suite(.timeLimit(.minutes(30))) struct `A task that waits for a connection` {
    /// It listens in one way at first and in another later.
    @Test(arguments: [0, 3, 20, 120]) func `hears that it is cancelled`(age: Int) async throws {
        try await withWarmEngine { server, engine in
            let fates = try await withWaiters(3, at: engine) { tasks in
                try await Task.sleep(for: .milliseconds(age))
                tasks[1].cancel()
                #expect(await tasks[1].value == .cancelled)
                #expect(engine.statistics.waiting == 2)
            }
            #expect(fates == [.served, .cancelled, .served])
            try await engine.answers()
        }
    }

    @Test func `is not served where it was cancelled before`() async throws {
        try await withWarmEngine { server, engine in
            try await engine.withConnection { _ in
                let cancelled = Task(executorPreference: testExecutor) {
                    withUnsafeCurrentTask { $0?.cancel() }
                    return await fate { try await engine.withConnection { _ in } }
                }
                #expect(await cancelled.value == .cancelled)
                #expect(engine.statistics.waiting == 0)
            }
            try await engine.answers()
        }
    }

    /// More of them than are asked in turn whether they have been cancelled.
    @Test func `has one fate of its own, however many there are`() async throws {
        try await withWarmEngine { server, engine in
            let fates = try await withWaiters(5000, at: engine) { tasks in
                for (number, task) in tasks.enumerated() where number % 3 == 0 { task.cancel() }
            }
            for (number, fate) in fates.enumerated() {
                #expect(fate == .served || number % 3 == 0 && fate == .cancelled, "\(number): \(fate)")
            }
            #expect(engine.statistics.waiting == 0 && engine.statistics.leased == 0)
            try await engine.answers()
        }
    }

    @Test func `gives up in time, long after it has begun to listen for itself`() async throws {
        try await withWarmEngine { server, engine in
            let start = ContinuousClock.now
            try await engine.withConnection { _ in
                let tasks = (0..<20).map { _ in
                    Task(executorPreference: testExecutor) {
                        await fate { try await engine.withConnection(checkoutTimeout: .milliseconds(300)) { _ in } }
                    }
                }
                for task in tasks { #expect(await task.value == .timedOut) }
            }
            #expect(ContinuousClock.now - start >= .milliseconds(300))
        }
    }

    #if os(Linux) && !THREAD_SANITIZER
        /// Beyond what any suspended task takes. All stay until the end, so that nobody gets another's memory.
        @Test func `takes a fifth of a kibibyte, in a build without optimization a few`() async throws {
            let count = 10_000
            let bare = Journal<UnsafeContinuation<Void, Never>>()
            func suspend() async throws -> [Task<Void, Never>] {
                let most = bare.all.count + count
                let tasks = (0..<count).map { _ in
                    Task(executorPreference: testExecutor) { await withUnsafeContinuation { bare.append($0) } }
                }
                try await eventually("all are suspended") { bare.all.count == most }
                return tasks
            }
            var tasks: [Task<Void, Never>] = []
            try await withWarmEngine { server, engine in
                tasks += try await suspend()
                let start = residentBytes()
                tasks += try await suspend()
                let middle = residentBytes()
                let waiters = try await withWaiters(count, at: engine, timeout: .seconds(600)) { _ in
                    let (suspended, waiting) = ((middle - start) / count, (residentBytes() - middle) / count)
                    #expect(waiting - suspended < Self.limit, "\(waiting) bytes where \(suspended) are any task's")
                }
                #expect(Set(waiters) == [.served])
            }
            for continuation in bare.all { continuation.resume() }
            for task in tasks { _ = await task.value }
        }

        /// An optimized build takes 90 to 230: the wait fits into what a task has anyway. Other tests allocate meanwhile. The address
        /// sanitizer surrounds each block with bytes that nobody may touch.
        private static var limit: Int {
            if ProcessInfo.processInfo.environment["ASAN_OPTIONS"] != nil { return 16_384 }
            #if DEBUG
                return 4096
            #else
                return 512
            #endif
        }

        private func residentBytes() -> Int {
            let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
            return (pages.flatMap { Int($0[1]) } ?? 0) * sysconf(Int32(_SC_PAGESIZE))
        }
    #endif
}

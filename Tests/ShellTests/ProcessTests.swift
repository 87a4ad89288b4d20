import Foundation
import PostgresSessions
import Testing

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What concerns the process as a whole, in processes of their own.
@Suite(.timeLimit(.minutes(15))) struct `A process` {
    /// P232. What `select` could not wait for.
    @Test func `with more than a thousand files open is served on the next ones`() async throws {
        await #expect(processExitsWith: .success) {
            var limit = rlimit()
            try #require(getrlimit(noFiles, &limit) == 0)
            limit.rlim_cur = max(limit.rlim_cur, min(2048, limit.rlim_max))
            try #require(setrlimit(noFiles, &limit) == 0)
            var last: Int32 = 0
            while last <= 1100 {
                last = open("/dev/null", O_RDONLY)
                try #require(last >= 0)
            }
            try await withWarmEngine { server, engine in
                try await engine.answers(7)
                server.on(.statement("SELECT 13"), .hold, times: 1)
                let task = Task(executorPreference: testExecutor) { try await engine.echo(13) }
                try await eventually("it is under way") { server.hasReached(.statement("SELECT 13")) }
                task.cancel()
                #expect(try await failure { try await task.value } is CancellationError)
                #expect(server.cancelHits == ["SELECT 13"])
                try await engine.answers(7)
                #expect(engine.statistics.opened == 1)
            }
        }
    }

    /// P232. Being stopped and continued interrupts what waits in the kernel.
    @Test func `that is interrupted in its waits misses nothing`() async throws {
        await #expect(processExitsWith: .success) {
            try await withServer { server in
                server.on(.connect, .slow(milliseconds: 10))
                server.on(.statement("SELECT"), .slow(milliseconds: 10))
                try await withEngine(on: server) { engine in
                    let interrupter = Process()
                    interrupter.executableURL = URL(fileURLWithPath: "/bin/sh")
                    let pid = ProcessInfo.processInfo.processIdentifier
                    let words = "kill -STOP \(pid); kill -CONT \(pid); sleep 0.005; "
                    interrupter.arguments = ["-c", String(repeating: words, count: 100)]
                    try interrupter.run()
                    var number = 0
                    while interrupter.isRunning {
                        number += 1
                        try await engine.answers(number)
                        if number % 5 == 0 { engine.invalidate() }
                    }
                    #expect(number >= 10 && engine.statistics.opened == (number + 4) / 5)
                    #expect(engine.statistics.connectFailures == 0)
                }
            }
        }
    }

    /// P233.
    @Test func `whose tasks all wait uses no processor`() async throws {
        await #expect(processExitsWith: .success) {
            try await withWarmEngine { server, engine in
                server.on(.statement("SELECT 13"), .hold, times: 1)
                let running = Task(executorPreference: testExecutor) { try await engine.echo(13) }
                try await eventually("one runs") { server.hasReached(.statement("SELECT 13")) }
                let queued = Task(executorPreference: testExecutor) { try await engine.echo(7) }
                try await eventually("one waits") { engine.statistics.waiting == 1 }
                let other = try Engine(url: server.url)
                server.on(.connect, .hold, times: 1)
                let connecting = Task(executorPreference: testExecutor) { try await other.echo(8) }
                try await eventually("one connects") { server.attempts.count == 2 }

                let (used, start) = (clock(), ContinuousClock.now)
                try await Task.sleep(for: .seconds(1))
                let passed = ContinuousClock.now - start
                let share = Double(clock() - used) / Double(CLOCKS_PER_SEC) / (passed / .seconds(1))
                #expect(share < 0.2, "\(share) of a processor while everybody waits")

                server.release()
                #expect(try await connecting.value == 8)
                await other.shutdown()
                #expect(try await running.value == 13)
                #expect(try await queued.value == 7)
            }
        }
    }
}

#if canImport(Glibc)
    private let noFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
#else
    private let noFiles = RLIMIT_NOFILE
#endif

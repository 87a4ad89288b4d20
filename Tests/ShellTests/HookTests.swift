import PostgresSessions
import Synchronization
import Testing

// The cases are those of research/sqlalchemy.md, §2.G and §2.I.

/// An option that leaves nothing to the background: no pre-ping, nothing to reset.
private func quiet(_ size: Int = 1, reset: PoolOptions.ResetOnReturn = .rollback) -> PoolOptions {
    PoolOptions(size: size, maxOverflow: 0, checkoutTimeout: .seconds(10), resetOnReturn: reset)
}

private struct NotToday: Error {}

@Suite(.timeLimit(.minutes(15))) struct `An observer` {
    @Test func `hears of a connection's life in order`() async throws {
        let diary = Diary()
        try await withServer { server in
            try await withEngine(on: server, quiet(), observers: [diary]) { engine in
                try await engine.answers(1)
                #expect(diary.events.all == ["first connect", "connect", "checkout", "checkin"])  // I01, I02
                diary.events.clear()
                try await engine.answers(2)
                #expect(diary.events.all == ["checkout", "checkin"])  // I04
                diary.events.clear()
            }
        }
        #expect(diary.events.all.last == "close")  // I05
    }

    @Test func `hears of a reset before the checkin, and of none where nothing was left behind`() async throws {
        let diary = Diary()
        try await withServer { server in
            try await withEngine(on: server, quiet(reset: .discardAll), observers: [diary]) { engine in
                try await engine.answers(1)
                try await eventually("the checkin") { diary.events.all.contains("checkin") }
                #expect(diary.events.all == ["first connect", "connect", "checkout", "reset", "checkin"])
            }
            diary.events.clear()
            try await withEngine(on: server, quiet(), observers: [diary]) { engine in
                try await engine.answers(1)
                #expect(!diary.events.all.contains("reset"))
                diary.events.clear()
                try await engine.withConnection { _ = try await $0.execute("BEGIN") }
                #expect(diary.events.all == ["checkout", "reset", "checkin"])
            }
        }
    }

    @Test func `hears of no return of a connection of whose loan it did not hear, for it was dead`() async throws {
        let diary = Diary()
        try await withWarmEngine(quiet(), observers: [diary]) { server, engine in
            for round in 1...50 {
                server.say(ServerBytes.fatal("57P01"))
                try await Task.sleep(for: .milliseconds(2))  // mostly it has arrived by then
                while engine.statistics.opened <= round { try await engine.answers(round) }
            }
        }
        let uses = diary.events.all.filter { $0.hasPrefix("check") }
        #expect(uses.count % 2 == 0)
        #expect(uses == (0..<uses.count).map { $0 % 2 == 0 ? "checkout" : "checkin" })
    }

    @Test func `hears of no invalidation where a connection is only too many, too old or not needed`() async throws {
        let diary = Diary()
        try await withServer { server in
            let options = PoolOptions(size: 1, maxOverflow: 1, maxLifetime: .milliseconds(300))
            try await withEngine(on: server, options, observers: [diary]) { engine in
                try await engine.withConnection { _ in try await engine.answers(1) }
                try await eventually("one is too many, the other too old") { engine.statistics.closed == 2 }
                try await engine.answers(2)
            }
        }
        #expect(diary.events.all.count { $0 == "close" } >= 3)
        #expect(!diary.events.all.contains("invalidate"))
    }

    @Test func `hears of an invalidation and of the end of the connection`() async throws {
        let diary = Diary()
        try await withServer { server in
            try await withEngine(on: server, quiet(), observers: [diary]) { engine in
                try await engine.answers(1)
                diary.events.clear()
                engine.invalidate()
                try await eventually("it is closed") { diary.events.all.count == 2 }
                #expect(diary.events.all == ["invalidate", "close"])  // I06
                try await engine.answers(2)
                #expect(diary.events.all == ["invalidate", "close", "connect", "checkout", "checkin"])  // F17
            }
        }
    }

    @Test func `hears why a connect failed`() async throws {
        let diary = Diary()
        try await withWarmEngine(quiet(), observers: [diary]) { server, engine in
            server.on(.connect, .fatal("53300"), times: 1)
            engine.invalidate()
            try await engine.answers(1)
            #expect(diary.failures.all.map(\.sqlState) == [.tooManyConnections])  // I24
        }
    }

    /// Q09.
    @Test func `of first connects runs once, however many connect, and others wait for it`() async throws {
        let running = Atomic<Int>(0)
        let diary = Diary(first: { connection in
            #expect(running.add(1, ordering: .relaxed).newValue == 1)
            try await connection.execute("SELECT 99")
            running.subtract(1, ordering: .relaxed)
        })
        try await withServer { server in
            server.on(.statement("SELECT 99"), .slow(milliseconds: 100))
            try await withEngine(on: server, quiet(5), observers: [diary]) { engine in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<10 { group.addTask { try await engine.answers(number) } }
                    try await group.waitForAll()
                }
                #expect(server.count(.statement("SELECT 99")) == 1)
                let events = diary.events.all  // I09, I10
                #expect(events.count { $0 == "first connect" } == 1)
                #expect(events.first == "first connect")
                #expect(events.count { $0 == "connect" } == engine.statistics.opened)
            }
        }
    }

    @Test func `of first connects that throws is asked again, until it has succeeded once`() async throws {
        let refusals = Atomic<Int>(1)
        let diary = Diary(first: { _ in
            if refusals.subtract(1, ordering: .relaxed).oldValue > 0 { throw NotToday() }
        })
        try await withServer { server in
            try await withEngine(on: server, quiet(), observers: [diary]) { engine in
                let error = try await failure { try await engine.echo(1) }
                guard case EngineError.connectFailed = error else { throw error }
                #expect("\(error)".contains("NotToday"))
                try await eventually("the rejected connection is closed") { server.open == 0 }
                let deadline = ContinuousClock.now + .seconds(10)
                while (try? await engine.echo(2)) == nil, ContinuousClock.now < deadline {
                    try await Task.sleep(for: .milliseconds(20))
                }
                engine.invalidate()
                try await engine.answers(3)
                let connects = diary.events.all.filter { $0.hasSuffix("connect") }  // I13
                #expect(connects == ["first connect", "first connect", "connect", "connect"])
            }
        }
    }

    /// G118 H150.
    @Test func `of connects that throws loses that connection and fails nobody who can wait`() async throws {
        let refusals = Atomic<Int>(0)
        let diary = Diary(each: { _ in
            if refusals.subtract(1, ordering: .relaxed).oldValue > 0 { throw NotToday() }
        })
        try await withServer { server in
            try await withEngine(on: server, quiet(), observers: [diary]) { engine in
                try await engine.answers(1)
                refusals.store(2, ordering: .relaxed)
                engine.invalidate()
                try await engine.answers(2)
                #expect(diary.failures.all.count == 2)
                #expect(engine.statistics.idle == 1)
                try await eventually("the rejected connections are closed") { server.open == 1 }
            }
        }
    }

    /// H150. One that heeds its task's cancellation, and one that does not.
    @Test(arguments: [true, false])
    func `of connects that does not end is left after the connect timeout`(heeds: Bool) async throws {
        let isHanging = Atomic<Bool>(false)
        let held = Mutex<[CheckedContinuation<Void, Never>]>([])
        let diary = Diary(each: { _ in
            guard isHanging.exchange(false, ordering: .relaxed) else { return }
            if heeds { return try await Task.sleep(for: .seconds(1000)) }
            await withCheckedContinuation { continuation in held.withLock { $0.append(continuation) } }
        })
        var options = quiet()
        (options.checkoutTimeout, options.connectTimeout) = (.seconds(30), .seconds(1))
        try await withWarmEngine(options, observers: [diary]) { server, engine in
            isHanging.store(true, ordering: .relaxed)
            engine.invalidate()
            try await engine.answers(7)
            #expect(diary.failures.all.count == 1)
            #expect(diary.failures.all.allSatisfy { $0.timedOut && $0.message.contains("a connect hook did not end") })
            try await eventually("the rejected connection is closed") { server.open == 1 }
            isHanging.store(true, ordering: .relaxed)
            engine.invalidate()
            let caller = Task { try await engine.echo(8) }
            try await eventually("the hook hangs") { !isHanging.load(ordering: .relaxed) }
            caller.cancel()
            _ = await caller.result
        }
        for continuation in held.withLock({ $0 }) { continuation.resume() }
    }

    @Test func `of the first connect that never ends leaves its turn to the next connection`() async throws {
        let isHanging = Atomic<Bool>(true)
        let held = Mutex<[CheckedContinuation<Void, Never>]>([])
        let diary = Diary(first: { _ in
            guard isHanging.exchange(false, ordering: .relaxed) else { return }
            await withCheckedContinuation { continuation in held.withLock { $0.append(continuation) } }
        })
        var options = quiet(2)
        options.connectTimeout = .seconds(1)
        try await withServer { server in
            try await withEngine(on: server, options, observers: [diary]) { engine in
                let deadline = ContinuousClock.now + .seconds(40)
                var answer: Int?
                while answer == nil, ContinuousClock.now < deadline {
                    // Where the machine is slow, the next one's time may be up as well.
                    answer = try? await engine.echo(7)
                    if answer == nil { try await Task.sleep(for: .milliseconds(10)) }
                }
                #expect(answer == 7)
                #expect(diary.events.all.count { $0 == "first connect" } >= 2)
                for continuation in held.withLock({ $0 }) { continuation.resume() }
            }
        }
    }

    @Test func `that gives no credentials is left after the connect timeout`() async throws {
        let isHanging = Atomic<Bool>(false)
        var options = quiet()
        options.connectTimeout = .milliseconds(200)
        try await withServer { server in
            let credentials = { @Sendable () async throws -> Credentials in
                if isHanging.exchange(false, ordering: .relaxed) { try await Task.sleep(for: .seconds(1000)) }
                return Credentials(user: "app", password: nil)
            }
            try await withEngine(on: server, options, credentials: credentials) { engine in
                try await engine.answers(1)
                isHanging.store(true, ordering: .relaxed)
                engine.invalidate()
                try await engine.answers(2)
                #expect(engine.statistics.connectFailures == 1)
            }
        }
    }

    @Test func `may leave a transaction open on a new connection, and it is rolled back`() async throws {
        let diary = Diary(each: { try await $0.execute("BEGIN") })
        try await withServer { server in
            try await withEngine(on: server, quiet(), observers: [diary]) { engine in
                try await engine.answers(1)
                #expect(server.statements == ["BEGIN", "ROLLBACK", "SELECT 1"])  // I14
            }
        }
    }

    @Test func `may call an error a disconnect`() async throws {
        let diary = Diary(judge: { error, verdict in verdict || error.sqlState == "XX999" })
        try await withWarmEngine(quiet(), observers: [diary]) { server, engine in
            server.on(.statement("SELECT 13"), .error("XX999"), times: 1)
            let error = try await failure { try await engine.echo(13) }
            #expect(error.refusal == "XX999")
            try await engine.answers(7)
            #expect(engine.statistics.opened == 2)  // E10
            server.on(.statement("COMMIT"), .error("XX999"), times: 1)
            _ = try await failure { try await engine.withTransaction { _ = try await $0.execute("INSERT") } }
            try await engine.answers(7)
            #expect(engine.statistics.opened == 3)
        }
    }

    @Test func `that says nothing of an error keeps the connection`() async throws {
        try await withWarmEngine(quiet(), observers: [Diary()]) { server, engine in
            server.on(.statement("SELECT 13"), .error("XX999"), times: 1)
            _ = try await failure { try await engine.echo(13) }
            try await engine.answers(7)
            #expect(engine.statistics.opened == 1)  // E12, J06
        }
    }

    @Test func `is asked about a demoted primary, whose connections are all replaced`() async throws {
        let verdicts = Journal<Bool>()
        let diary = Diary(judge: { _, verdict in
            verdicts.append(verdict)
            return verdict
        })
        try await withWarmEngine(quiet(), observers: [diary]) { server, engine in
            server.on(.statement("INSERT"), .error("25006"), times: 1)
            _ = try await failure { try await engine.execute("INSERT") }
            try await engine.answers(7)
            #expect(verdicts.all == [true])
            #expect(engine.statistics.opened == 2)
        }
    }

    @Test func `may say that an error is no disconnect after all`() async throws {
        let diary = Diary(judge: { _, _ in false })
        try await withWarmEngine(quiet(), observers: [diary]) { server, engine in
            server.on(.statement("INSERT"), .error("25006"), times: 1)
            _ = try await failure { try await engine.execute("INSERT") }
            try await engine.answers(7)
            #expect(engine.statistics.opened == 1)  // F09, J12
        }
    }

    @Test func `hears of a session that was dropped, and where it was made`() async throws {
        let diary = Diary()
        try await withWarmEngine(quiet(), observers: [diary]) { server, engine in
            do {
                let session = engine.makeSession()
                try await session.execute("INSERT")
            }
            try await eventually("it is told") { !diary.drops.all.isEmpty }
            #expect(diary.drops.all.first?.contains("HookTests.swift") == true)
            try await engine.answers(7)
            #expect(server.statements.contains("ROLLBACK"))
        }
    }

    /// P234.
    @Test func `hears of a connection that is lent for long, once, with its place and its last statement`() async throws
    {
        let diary = Diary()
        var options = quiet()
        options.leakDetectionThreshold = .milliseconds(500)
        try await withWarmEngine(options, observers: [diary]) { _, engine in
            try await engine.withTransaction { session in
                try await session.execute("SELECT 77")
                try await eventually("it is told") { !diary.leaks.all.isEmpty }
                try await Task.sleep(for: .milliseconds(750))
            }
            let leaks = diary.leaks.all
            #expect(leaks.count == 1)
            #expect(leaks.first?.origin.contains("HookTests.swift") == true)
            #expect(leaks.first?.statement == "SELECT 77")
            try await engine.withConnection { _ in
                try await eventually("it is told again") { diary.leaks.all.count == 2 }
            }
            #expect(diary.leaks.all.last?.statement == nil)
        }
    }
}

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

import PostgresSessions
import PostgresSessionsTesting
import Testing

private let one = PoolOptions(size: 1, maxOverflow: 0)

extension Shop {
    /// Stops the tested engine's only backend where it stands while the body runs: its kernel goes on answering for it.
    fileprivate func whileFrozen<R>(_ body: () async throws -> R) async throws -> R {
        let backend = pid_t(try #require(try await backends().first))
        try #require(kill(backend, SIGSTOP) == 0)
        defer { kill(backend, SIGCONT) }
        return try await body()
    }
}

/// What the library waits for on its own account, and what a cancelled task waits for.
private func bounded<R>(_ location: SourceLocation = #_sourceLocation, _ body: () async throws -> R) async throws -> R {
    let start = ContinuousClock.now
    let result = try await body()
    #expect(ContinuousClock.now - start < .seconds(20), sourceLocation: location)
    return result
}

@Suite(.timeLimit(.minutes(30))) struct `A backend that is frozen` {
    private func cancelled(
        _ shop: Shop, after pause: Duration = .milliseconds(100), _ body: @escaping @Sendable () async throws -> Void
    ) async throws -> Outcome {
        let task = Task(executorPreference: testExecutor) { await outcome { try await body() } }
        try await Task.sleep(for: pause)
        task.cancel()
        return try await bounded { await task.value }
    }

    /// As after a firewall that has forgotten every connection that was idle.
    @Test func `is left for the next one, also where all that were idle are frozen`() async throws {
        let pool = PoolOptions(size: 4, maxOverflow: 1, prePing: .automatic(idleLongerThan: .zero))
        try await withShop(pool) { shop in
            try await fill(shop, 4)
            let frozen = try await shop.backends().map { pid_t($0) }
            for backend in frozen { try #require(kill(backend, SIGSTOP) == 0) }
            defer { for backend in frozen { kill(backend, SIGCONT) } }
            try await bounded {
                try await shop.engine.withTransaction { session in
                    _ = try await session.execute("INSERT INTO items VALUES (1, 'item')")
                }
            }
            #expect(try await shop.itemCount() == 1)
            #expect(shop.engine.statistics.opened == 5)
        }
    }

    @Test func `does not keep a cancelled statement`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.warmUp()
            try await shop.whileFrozen {
                let ending = try await cancelled(shop) { try await shop.engine.execute("SELECT 1") }
                #expect(ending == .cancelled)
            }
            try await shop.engine.execute("SELECT 1")
        }
    }

    /// How a transaction ends that is cancelled after its backend was frozen in the middle of it; `rest` is what it still does.
    private func cancelledInside(
        _ shop: Shop, after pause: Duration, _ rest: @escaping @Sendable (Session) async throws -> Void
    ) async throws -> Outcome {
        let inside = Journal<Int>()
        let task = Task(executorPreference: testExecutor) {
            await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    inside.append(1)
                    try await eventually("frozen") { inside.all.count == 2 }
                    try await rest(session)
                }
            }
        }
        try await eventually("it is inside") { inside.all.count == 1 }
        return try await shop.whileFrozen {
            inside.append(2)
            try await Task.sleep(for: pause)
            task.cancel()
            return try await bounded { await task.value }
        }
    }

    @Test func `does not keep a transaction that is cancelled, whatever it waits for`() async throws {
        try await withShop(one) { shop in
            let ending = try await cancelledInside(shop, after: .milliseconds(100)) { session in
                try await session.execute("INSERT INTO items VALUES (2, 'item')")
            }
            #expect(ending == .cancelled)
            #expect(try await shop.itemCount() == 0)
        }
    }

    /// S4: not cancelled, but not waited for without end.
    @Test func `does not keep a COMMIT whose task is cancelled: its outcome is unknown`() async throws {
        try await withShop(one) { shop in
            let ending = try await cancelledInside(shop, after: .milliseconds(300)) { _ in }
            #expect(ending == .commitOutcomeUnknown)
            try await shop.engine.execute("SELECT 1")
        }
    }

    @Test(arguments: [true, false])
    func `does not keep a stream that is left early`(goesOn: Bool) async throws {
        try await withShop(one) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    let many: SQLQuery = "SELECT i FROM generate_series(1, 100000) AS i"
                    try await shop.whileFrozenAfter { freeze in
                        for try await i in session.query(many, as: Int.self).stream() where i == 100 {
                            freeze()
                            break
                        }
                        try await bounded {
                            guard goesOn else { throw OutOfStock() }
                            // Where the rows had come before, it is an ordinary statement's wait.
                            try await session.withTimeout(.seconds(2)) { _ = try await $0.execute("SELECT 1") }
                        }
                    }
                }
            }
            let expected: [Outcome] =
                goesOn ? [.connectionLost, .statementTimedOut] : [.other("OutOfStock(id: 7)")]
            #expect(expected.contains(ending), "\(ending)")
            try await shop.engine.execute("SELECT 1")
        }
    }

    /// Where all rows had come, nothing but COMMIT is under way.
    @Test(arguments: [3, 100_000])
    func `does not keep the end of a stream without a session, nor a shutdown`(count: Int) async throws {
        try await withShop(one) { shop in
            let rows: SQLQuery = "SELECT i FROM generate_series(1, \(count)) AS i"
            try await shop.whileFrozenAfter { freeze in
                for try await _ in shop.engine.query(rows, as: Int.self).stream() {
                    freeze()
                    break
                }
                try await bounded {
                    try await eventually("it is given up: \(shop.engine.statistics)") {
                        shop.engine.statistics.leased == 0
                    }
                }
            }
            try await shop.engine.execute("SELECT 1")
            try await shop.whileFrozen { try await bounded { await shop.engine.shutdown(grace: .milliseconds(100)) } }
        }
    }
}

extension Shop {
    /// As `whileFrozen`, from the moment at which the body says so.
    fileprivate func whileFrozenAfter(_ body: (_ freeze: () -> Void) async throws -> Void) async throws {
        if engine.statistics.idle + engine.statistics.leased == 0 { try await engine.warmUp() }
        let backend = pid_t(try #require(try await backends().first))
        defer { kill(backend, SIGCONT) }
        try await body { kill(backend, SIGSTOP) }
    }
}

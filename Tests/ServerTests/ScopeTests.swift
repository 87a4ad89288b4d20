import PostgresSessions
import PostgresSessionsTesting
import Testing

private let one = PoolOptions(size: 1, maxOverflow: 0)

@Suite(.timeLimit(.minutes(30))) struct `A scope with a timeout` {
    @Test func `ends the statement that goes beyond it`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                let ending = await outcome {
                    try await session.withTimeout(.milliseconds(100)) { session in
                        try await session.execute("SELECT pg_sleep(60)")
                    }
                }
                #expect(ending == .statementTimedOut)
                try await session.rollback()
                try await session.execute("SELECT 1")
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// It is not cancelled, but not waited for without end.
    @Test func `leaves a COMMIT that goes beyond it some seconds, and its outcome unknown then`() async throws {
        try await withShop(one) { shop in
            try await shop.makeCommitsWait()
            try await shop.engine.warmUp()
            try await shop.whileLocked {
                let endings = Journal<Outcome>()
                let task = Task(executorPreference: testExecutor) {
                    let ending = await outcome {
                        try await shop.engine.withSession { session in
                            _ = try await session.withTimeout(.seconds(2)) { session in
                                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                                try await session.commit()
                            }
                        }
                    }
                    endings.append(ending)
                }
                try await eventually("it is given up") { !endings.all.isEmpty }
                #expect(endings.all == [.commitOutcomeUnknown])
                await task.value
            }
        }
    }

    @Test func `does not hurt what comes after it`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withTransaction { session in
                let inside = try await session.withTimeout(.seconds(20)) { session in
                    try await session.query("SELECT 1", as: Int.self).one()
                }
                #expect(inside == 1)
                try await session.execute("SELECT pg_sleep(0.05)")
                let setting = try await session.query("SHOW statement_timeout", as: String.self).one()
                #expect(setting == "0")
            }
            let next = try await shop.engine.withTransaction { session in
                try await session.query("SHOW statement_timeout", as: String.self).one()
            }
            #expect(next == "0")
        }
    }

    @Test(arguments: [Duration.milliseconds(50), .zero, .seconds(-5)], [false, true])
    func `that says nothing leaves nothing for what comes after it`(limit: Duration, isOpen: Bool) async throws {
        try await withShop(one) { shop in
            try await shop.engine.withTransaction { session in
                if isOpen { try await session.execute("SELECT 1") }
                try await session.withTimeout(limit) { _ in }
                if limit <= .zero {
                    let late = await outcome {
                        try await session.withTimeout(limit) { session in try await session.execute("SELECT 1") }
                    }
                    #expect(late == .statementTimedOut)
                }
                let setting = try await session.query("SHOW statement_timeout", as: String.self).one()
                #expect(setting == "0")
            }
        }
    }

    @Test func `may be longer than the server's longest, and gives the outer one's time back`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withTransaction { session in
                try await session.withTimeout(.seconds(90 * 86_400)) { session in
                    try await session.withTimeout(.seconds(20)) { session in _ = try await session.execute("SELECT 1") }
                    let longest = try await session.query("SHOW statement_timeout", as: String.self).one()
                    #expect(longest == "2147483647ms")
                }
            }
        }
    }

    /// Whatever had set it, and whether the scope ends well or not.
    @Test(arguments: ["SET LOCAL statement_timeout TO '7s'", "SET statement_timeout TO '7s'"], [false, true])
    func `gives a limit back that the user had set`(setting: SQLQuery, fails: Bool) async throws {
        try await withShop(one) { shop in
            func limit(_ session: Session) async throws -> String {
                try await session.query("SHOW statement_timeout", as: String.self).one()
            }
            try await shop.engine.withTransaction { session in
                try await session.execute(setting)
                for _ in 1...2 {
                    _ = await outcome {
                        try await session.withTimeout(.seconds(3600)) { session in
                            // The shorter one holds.
                            #expect(try await limit(session) == "7s")
                            try await session.withTimeout(.seconds(2)) { session in
                                #expect(try await limit(session).hasSuffix("ms"))
                                try await session.execute("SET LOCAL statement_timeout TO '1s'")
                            }
                            #expect(try await limit(session) == "7s")
                            if fails { throw OutOfStock() }
                        }
                    }
                    #expect(try await limit(session) == "7s")
                }
                _ = await outcome {
                    try await session.withSavepoint { session in
                        try await session.withTimeout(.seconds(2)) { try await $0.execute("SELECT 1 / 0") }
                    }
                }
                #expect(try await limit(session) == "7s")
            }
        }
    }

    /// Not the one that an earlier scope had found.
    @Test func `leaves the limit that a rollback to a savepoint inside it has brought back`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withTransaction { session in
                _ = try await session.withTimeout(.seconds(60)) { session in try await session.execute("SELECT 1") }
                try await session.execute("SET LOCAL statement_timeout TO '7s'")
                try await session.execute("SAVEPOINT mark")
                try await session.withTimeout(.seconds(60)) { session in
                    try await session.execute("SELECT 1")
                    _ = try await session.execute("ROLLBACK TO mark")
                }
                let limit = try await session.query("SHOW statement_timeout", as: String.self).one()
                #expect(limit == "7s")
            }
        }
    }

    @Test func `leaves no limit that a rollback to a savepoint inside it brings back after its end`() async throws {
        try await withShop(one) { shop in
            func limit(_ session: Session) async throws -> String {
                try await session.query("SHOW statement_timeout", as: String.self).one()
            }
            try await shop.engine.withTransaction { session in
                try await session.execute("SET LOCAL statement_timeout TO '70s'")
                try await session.withTimeout(.seconds(60)) { session in
                    try await session.execute("SAVEPOINT outer_mark")
                    try await session.withTimeout(.seconds(30)) { session in
                        _ = try await session.execute("SAVEPOINT inner_mark")
                    }
                    try await session.execute("ROLLBACK TO inner_mark")
                    let between = try await limit(session)
                    #expect(between != "70s" && between > "30s")
                    try await session.execute("ROLLBACK TO outer_mark")
                    #expect(try await limit(session) == between)
                    try await session.execute("SAVEPOINT inner_mark")
                }
                for mark in ["inner_mark", "outer_mark", "outer_mark"] {
                    try await session.execute("ROLLBACK TO \(identifier: mark)")
                    #expect(try await limit(session) == "70s")
                }
                try await session.execute(batch: ["ROLLBACK TO outer_mark", "SELECT 1"])
                #expect(try await limit(session) == "70s")
            }
        }
    }

    @Test func `says so where its time is up before there is a connection`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withConnection { _ in
                try await shop.engine.withSession { session in
                    let start = ContinuousClock.now
                    let error = try await failure {
                        try await session.withTimeout(.milliseconds(50)) { try await $0.execute("SELECT 1") }
                    }
                    #expect(Outcome(error) == .statementTimedOut)
                    // The pool's own bound is half a minute.
                    #expect(ContinuousClock.now - start < .seconds(20))
                    #expect("\(error)".contains("withTimeout") && "\(error)".contains("1 leased"))
                }
                let ofPool = await outcome {
                    try await shop.engine.withSession(checkoutTimeout: .milliseconds(50)) { session in
                        _ = try await session.withTimeout(.seconds(60)) { try await $0.execute("SELECT 1") }
                    }
                }
                #expect(ofPool == .checkoutTimedOut)
            }
        }
    }

    /// Else it would be said in a transaction that the scope around it, which has had its commit, rolls back in silence.
    @Test(arguments: ["withTransaction", "withSavepoint"])
    func `says nothing more once the transaction was committed inside it`(around: String) async throws {
        try await withShop(one) { shop in
            func body(_ session: Session) async throws {
                try await session.withTimeout(.seconds(60)) { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    try await session.commit()
                    let late = await outcome { try await session.execute("INSERT INTO items VALUES (2, 'item')") }
                    #expect(late == .invalidState)
                }
            }
            if around == "withTransaction" {
                try await shop.engine.withTransaction { session in try await body(session) }
            } else {
                try await shop.engine.withSession { session in
                    try await session.withSavepoint { session in try await body(session) }
                }
            }
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test func `goes on in the next transaction where no scope around it has owned the first`() async throws {
        try await withShop(one) { shop in
            try await shop.engine.withSession { session in
                try await session.withTimeout(.seconds(60)) { session in
                    for id in 1...2 {
                        try await session.execute("INSERT INTO items VALUES (\(id), 'item')")
                        try await session.commit()
                    }
                }
            }
            #expect(try await shop.itemCount() == 2)
        }
    }

    @Test func `holds for all of its statements together`() async throws {
        try await withShop(one) { shop in
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    try await session.withTimeout(.milliseconds(300)) { session in
                        for _ in 0..<100 { try await session.execute("SELECT pg_sleep(0.05)") }
                    }
                }
            }
            #expect(ending == .statementTimedOut)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `An advisory lock` {
    @Test func `keeps others out for as long as its transaction`() async throws {
        try await withShop { shop in
            let key = Int64(1_000_000 + shop.number)
            let journal = Journal<String>()
            let second = try await shop.engine.withTransaction { session in
                try await session.withAdvisoryLock(key) { _ in
                    let second = Task(executorPreference: testExecutor) {
                        try await shop.engine.withTransaction { session in
                            try await session.withAdvisoryLock(key) { _ in journal.append("second") }
                        }
                    }
                    try await shop.untilWaiting()
                    journal.append("first")
                    return second
                }
            }
            try await second.value
            #expect(journal.all == ["first", "second"])
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A prepared transaction` {
    private func withPreparing(_ body: (Shop) async throws -> Void) async throws {
        try await withServer(settings: ["max_prepared_transactions": "4"]) { server in
            try await withShop(server: server, body)
        }
    }

    /// R05 R06.
    @Test func `survives its session, is listed, and is committed by another one or rolled back`() async throws {
        try await withPreparing { shop in
            let engine = shop.engine
            let (first, second) = ("order 'one'", "order two\\'\u{301}")  // an accent on a quote is no other quote
            for (id, gid) in [(1, first), (2, second)] {
                try await engine.withSession { session in
                    try await session.execute("INSERT INTO items VALUES (\(id), 'item')")
                    try await session.prepare(as: gid)
                    #expect(!session.isInTransaction)
                    #expect(engine.statistics.leased == 0)
                }
            }
            #expect(try await shop.itemCount() == 0)
            #expect(try await engine.preparedTransactions().map(\.gid) == [first, second])
            try await engine.commitPrepared(first)
            try await engine.rollbackPrepared(second)
            #expect(try await engine.preparedTransactions().isEmpty)
            #expect(try await shop.witness.query("SELECT id FROM items", as: Int.self).all() == [1])
            let again = await outcome { try await engine.commitPrepared(second) }
            #expect(again == .server(.undefinedObject))
        }
    }

    @Test func `is neither committed nor rolled back for the session's actions`() async throws {
        try await withPreparing { shop in
            let told = Journal<String>()
            try await shop.engine.withSession { session in
                session.afterCommit { told.append("committed") }
                session.afterRollback { told.append("rolled back") }
                #expect(await outcome { try await session.prepare(as: "nothing") } == .invalidState)
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                try await session.prepare(as: "order")
                try await session.execute("SELECT 1")
                try await session.commit()
            }
            #expect(told.all.isEmpty)
            try await shop.engine.rollbackPrepared("order")
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `The outcome of a COMMIT without an answer` {
    @Test(arguments: [FaultProxy.Direction.toClient, .toServer])
    func `is told by the server where the transaction was tracked`(lost: FaultProxy.Direction) async throws {
        try await withShop(session: SessionOptions(tracksOutcome: true), behindProxy: true) { shop in
            let error = try await failure {
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    try shop.proxy.cut(afterBytes: 0, lost)
                }
            }
            guard case EngineError.commitOutcomeUnknown(let commit) = error else { throw error }
            let expected: TransactionOutcome = lost == .toClient ? .committed : .aborted
            try await eventually("the server knows") { try await shop.engine.outcome(of: commit) == expected }
            #expect(try await shop.itemCount() == (lost == .toClient ? 1 : 0))
        }
    }

    /// Never what became of the transaction before.
    @Test(arguments: ["commit()", "COMMIT AND CHAIN"])
    func `is that of the session's last transaction`(end: String) async throws {
        try await withShop(session: SessionOptions(tracksOutcome: true), behindProxy: true) { shop in
            let error = try await failure {
                try await shop.engine.withSession { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    let isByHand = end == "commit()"
                    if isByHand { try await session.commit() } else { try await session.execute("COMMIT AND CHAIN") }
                    try await session.execute("INSERT INTO items VALUES (2, 'item')")
                    try shop.proxy.cut(afterBytes: 0, .toServer)
                    try await session.commit()
                }
            }
            guard case EngineError.commitOutcomeUnknown(let commit) = error else { throw error }
            try await eventually("the server knows") { try await shop.engine.outcome(of: commit) != .inProgress }
            let found = try await shop.engine.outcome(of: commit)
            #expect(found == .aborted)
            let count = try await shop.itemCount()
            #expect(count == 1)
        }
    }

    /// The answer is cut at many of its bytes: with the transaction's id or before it, and COMMIT's own or before it.
    @Test func `is told by the server wherever the transaction's id is known`() async throws {
        try await withShop(one, session: SessionOptions(tracksOutcome: true), behindProxy: true) { shop in
            var known = 0
            for byte in stride(from: 0, to: 200, by: 8) {
                let ending: (any Error)?
                do {
                    try await shop.engine.withTransaction { session in
                        try await session.execute("INSERT INTO items VALUES (\(byte), 'item')")
                        try shop.proxy.cut(afterBytes: byte, .toClient)
                    }
                    ending = nil
                } catch {
                    ending = error
                }
                try shop.proxy.cut(afterBytes: .max, .toClient)
                guard case EngineError.commitOutcomeUnknown(let commit)? = ending else {
                    #expect(ending == nil)
                    continue
                }
                guard commit.transactionID != nil else { continue }
                known += 1
                try await eventually("the server knows") { try await shop.engine.outcome(of: commit) != .inProgress }
                let isStored = try await shop.names(id: byte) == ["item"]
                #expect(try await shop.engine.outcome(of: commit) == (isStored ? .committed : .aborted))
            }
            #expect(known > 0)
        }
    }
}

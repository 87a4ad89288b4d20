import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Synchronization
import Testing

/// Counts how many of it there are.
private final class Counted: SQLDecodable, Sendable {
    static let alive = Atomic<Int>(0)
    let length: Int

    init(sqlCell: SQLCell) throws {
        length = sqlCell.bytes.count
        Self.alive.add(1, ordering: .relaxed)
    }

    deinit { Self.alive.subtract(1, ordering: .relaxed) }
}

/// Takes a millisecond to be decoded.
private struct Slow: SQLDecodable {
    init(sqlCell: SQLCell) throws { usleep(1000) }
}

private struct Line: Decodable, Equatable {
    var i: Int
    var name: String
}

/// All tasks that prefer it run on one thread.
private final class OneThread: TaskExecutor {
    private let queue = DispatchQueue(label: "one thread")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Takes every refusal for a disconnect.
private struct Alarmist: EngineObserver {
    func isDisconnect(_ error: ServerError, verdict: Bool) -> Bool { true }
}

@Suite struct `Rows that are copied out` {
    private static func numbers(_ column: String, to last: Int = 5000) -> SQLQuery {
        SQLQuery(unsafeRaw: "SELECT \(column) AS i, 'row ' || i AS name FROM generate_series(1, \(last)) i")
    }

    @Test(arguments: [0, 1, 63, 64, 65, 5000]) func `are all there, in order`(count: Int) async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                let query = Self.numbers("i", to: count)
                var tuples: [Int] = []
                for try await (i, name) in try await session.copyOut(query, as: (Int, String).self) {
                    #expect(name == "row \(i)")
                    tuples.append(i)
                }
                #expect(tuples == Array(0..<count).map { $0 + 1 })
                var structs: [Line] = []
                for try await line in try await session.copyOut(query, as: Line.self) { structs.append(line) }
                #expect(structs == tuples.map { Line(i: $0, name: "row \($0)") })
            }
        }
    }

    @Test func `are those of a text that ends in a semicolon`() async throws {
        try await withShop { shop in
            try await shop.engine.withConnection { connection in
                for text: SQLQuery in ["SELECT 7;", "SELECT 7 ; ;\n", "SELECT ';' -- ;"] {
                    let rows = try await connection.copyOut(text, as: String.self)
                    for try await row in rows { #expect(row == "7" || row == ";") }
                }
            }
        }
    }

    /// Rows are decoded ahead of the loop; an error among them waits for its turn.
    /// https://www.postgresql.org/docs/current/sql-copy.html: "An INSERT, UPDATE, DELETE … the query must have a RETURNING clause."
    @Test(arguments: [
        "INSERT INTO items VALUES (7, 'item') RETURNING id AS i, name",
        "WITH new AS (INSERT INTO items VALUES (7, 'item') RETURNING *) SELECT id AS i, name FROM new -- all",
    ])
    func `may be those that a statement writes, once`(text: String) async throws {
        try await withShop { shop in
            let copied = try await shop.engine.withTransaction { session in
                var copied: [Line] = []
                for try await line in try await session.copyOut(SQLQuery(unsafeRaw: text), as: Line.self) {
                    copied.append(line)
                }
                return copied
            }
            #expect(copied == [Line(i: 7, name: "item")])
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test(arguments: [1, 2, 64, 65, 3211]) func `come before the one that does not fit, which is named`(bad: Int)
        async throws
    {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withTransaction { session in
                var seen = 0
                let error = try await failure {
                    let query = Self.numbers("nullif(i, \(bad))")
                    for try await _ in try await session.copyOut(query, as: (Int, String).self) { seen += 1 }
                }
                guard case EngineError.decoding(let failure) = error else { throw error }
                #expect(failure.row == bad - 1)
                #expect(failure.column == "i")
                #expect(seen == bad - 1)
                let one = try await session.query("SELECT 1", as: Int.self).one()
                #expect(one == 1)
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `come before the server's error`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withConnection { connection in
                var seen = 0
                let error = try await failure {
                    let query = Self.numbers("1 / (3000 - i)")
                    for try await _ in try await connection.copyOut(query, as: (Int, String).self) { seen += 1 }
                }
                #expect((error as? ServerError)?.sqlState == .divisionByZero, "\(error)")
                #expect(seen == 2999)
                let one = try await connection.query("SELECT 1", as: Int.self).one()
                #expect(one == 1)
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test(arguments: [1, 63, 64, 65, 1000, 5000]) func `may be left at any of them`(last: Int) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withTransaction { session in
                try await session.execute("INSERT INTO items VALUES (1, 'kept')")
                for try await (i, _) in try await session.copyOut(Self.numbers("i"), as: (Int, String).self)
                where i == last {
                    break
                }
                let one = try await session.query("SELECT 1", as: Int.self).one()
                #expect(one == 1)
            }
            let names = try await shop.names()
            #expect(names == ["kept"])
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// The limits hold for what is decoded ahead too.
    @Test func `are few in memory, fewer where they are long, and none afterwards`() async throws {
        try await withShop { shop in
            try await shop.engine.withConnection { connection in
                for (length, most) in [(10, 64), (100_000, 2)] {
                    let query = SQLQuery(unsafeRaw: "SELECT repeat('x', \(length)) FROM generate_series(1, 1000) i")
                    for last in [Int.max, 5] {
                        var (seen, alive) = (0, 0)
                        for try await row in try await connection.copyOut(query, as: Counted.self) {
                            #expect(row.length == length)
                            seen += 1
                            alive = max(alive, Counted.alive.load(ordering: .relaxed))
                            if seen == last { break }
                        }
                        #expect(seen == min(last, 1000))
                        #expect(alive <= most, "\(alive) rows of \(length) bytes")
                        #expect(Counted.alive.load(ordering: .relaxed) == 0)
                    }
                }
            }
        }
    }

    @Test func `let others on their reader's thread in, where the server is always faster`() async throws {
        try await withShop { shop in
            let thread = OneThread()
            let (visits, isOver) = (Journal<Int>(), Journal<Bool>())
            let reading = Task(executorPreference: thread) {
                defer { isOver.append(true) }
                return try await shop.engine.withConnection { connection in
                    let query: SQLQuery = "SELECT repeat('x', 1000) FROM generate_series(1, 3000) i"
                    var (seen, before, between) = (0, 0, 0)
                    // A slow reader.
                    for try await _ in try await connection.copyOut(query, as: String.self) {
                        if seen == 0 { before = visits.all.count }
                        between = visits.all.count - before
                        seen += 1
                        usleep(100)
                    }
                    return between
                }
            }
            let visiting = Task(executorPreference: thread) {
                while isOver.all.isEmpty {
                    visits.append(1)
                    try await Task.sleep(for: .milliseconds(1))
                }
            }
            try await visiting.value
            let between = try await reading.value
            #expect(between >= 5, "in 300 milliseconds, \(between) visits")
        }
    }

    /// So many that nobody reads them to the end; they come from the first moment on.
    private static let endless: SQLQuery = "SELECT repeat('x', 1000 + 0 * generate_series(1, 1000000000))"

    @Test func `end with their task's cancellation, and their connection stays`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            for delay in [nil, Duration.milliseconds(100)] {
                let task = Task(executorPreference: testExecutor) {
                    try await shop.engine.withConnection { connection in
                        var seen = 0
                        for try await _ in try await connection.copyOut(Self.endless, as: String.self) {
                            seen += 1
                            if delay == nil && seen == 1000 { withUnsafeCurrentTask { $0?.cancel() } }
                        }
                    }
                }
                if let delay {
                    try await Task.sleep(for: delay)
                    task.cancel()
                }
                await #expect(throws: CancellationError.self) { try await task.value }
                let one = try await shop.engine.query("SELECT 1", as: Int.self).one()
                #expect(one == 1)
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    /// Those that had arrived by then would take a minute.
    @Test func `are not decoded any more once they are cancelled`() async throws {
        let rows: SQLQuery = "SELECT generate_series(1, 100000000)"
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let task = Task(executorPreference: testExecutor) {
                try await shop.engine.withTransaction { session in
                    for try await _ in try await session.copyOut(rows, as: Slow.self) {}
                }
            }
            try await Task.sleep(for: .milliseconds(300))
            let start = ContinuousClock.now
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(ContinuousClock.now - start < .seconds(4))
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `end with an error where their connection does`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let error = try await failure {
                try await shop.engine.withConnection { connection in
                    var seen = 0
                    for try await _ in try await connection.copyOut(Self.endless, as: String.self) {
                        seen += 1
                        if seen == 1000 { try await shop.terminateBackends() }
                    }
                }
            }
            guard case EngineError.connectionLost = error else { throw error }
        }
    }

    @Test(arguments: ["SELECT 1 / (n - 3) FROM generate_series(1, 9) n", "SELECT nonsense"])
    func `and are refused are told to observers, who judge the connection`(query: String) async throws {
        try await withShop { shop in
            let pool = PoolOptions(size: 1, maxOverflow: 0)
            let engine = try Engine(Engine.Configuration(url: shop.url, pool: pool, observers: [Alarmist()]))
            for round in 1...2 {
                _ = try await failure {
                    try await engine.withConnection { connection in
                        let rows = try await connection.copyOut("\(unsafeRaw: query)", as: Int.self)
                        for try await _ in rows {}
                    }
                }
                _ = try await failure {
                    try await engine.withTransaction { session in
                        for try await _ in try await session.copyOut("\(unsafeRaw: query)", as: Int.self) {}
                    }
                }
                #expect(try await engine.query("SELECT 1", as: Int.self).one() == 1)
                #expect(engine.statistics.opened == 2 * round + 1)
            }
            await engine.shutdown()
        }
    }
}

import Foundation
import PostgresSessions

/// The tables that many rows are read from and written to, beside pgbench's.
enum Lines {
    static let count = 1_000_000
    static let copied = 500_000
    static let inserted = 20_000

    static func create(_ engine: Engine) async throws {
        try await engine.execute("CREATE TABLE lines (id int8, name text, price float8, at timestamptz)")
        let fill: SQLQuery = """
            INSERT INTO lines SELECT i, 'name ' || i, i * 1.5, '2024-01-01'::timestamptz + i * interval '1 second'
            FROM generate_series(1, \(count)) i
            """
        try await engine.execute(fill)
        try await engine.execute("CREATE UNLOGGED TABLE copies (id int8, name text, price float8)")
        try await engine.execute("VACUUM ANALYZE lines")
    }

    static func drop(_ engine: Engine) async throws { try await engine.execute("DROP TABLE lines, copies") }

    /// `psql \copy` between a file and the server. Its CPU time is that of its processes, the start included.
    static func psql(into: Bool, _ task: EngineContestant) throws -> Measurement {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("lines-\(getpid())").path
        let program = try PgBench.find("psql")
        defer { try? FileManager.default.removeItem(atPath: file) }
        func run(_ command: String) throws {
            _ = try ChildProgram.run(program, ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", task.url, "-c", command])
        }
        let out = "\\copy (SELECT id, name, price FROM lines WHERE id <= \(copied)) TO '\(file)'"
        try run(out)
        var (operations, wall, cpu) = (0, 0.0, 0.0)
        while wall < task.seconds * 1e9 {
            if into { try run("TRUNCATE copies") }
            let (cpuBefore, start) = (Stopwatch.cpuNanoseconds(children: true), ContinuousClock.now)
            try run(into ? "\\copy copies FROM '\(file)'" : out)
            operations += copied
            wall += (ContinuousClock.now - start) / .nanoseconds(1)
            cpu += Stopwatch.cpuNanoseconds(children: true) - cpuBefore
        }
        return Measurement(operations: operations, wallNanoseconds: wall, cpuNanoseconds: cpu)
    }
}

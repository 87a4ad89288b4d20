import Foundation
import PostgresSessions

/// Many rows at once, on one connection. A turn warms up, then turns are measured until the time is over.
extension EngineContestant {
    struct Line: Decodable {
        var id: Int
        var name: String
        var price: Double
        var at: Date
    }

    private static let lines: SQLQuery = "SELECT id, name, price, at FROM lines"

    private func turns(
        prepare: @escaping @Sendable (Session) async throws -> Void = { _ in },
        _ turn: @escaping @Sendable (Session) async throws -> Int
    ) async throws -> Measurement {
        let (url, seconds) = (url, seconds)
        let engine = try Engine(Engine.Configuration(url: url, pool: PoolOptions(size: 1, maxOverflow: 0)))
        let (operations, wall, cpu) = try await Task.detached(executorPreference: engine.executor) {
            var (operations, wall, cpu) = (0, 0.0, 0.0)
            var isWarm = false
            while !isWarm || wall < seconds * 1e9 {
                try await engine.withTransaction { session in try await prepare(session) }
                let (cpuBefore, start) = (Stopwatch.cpuNanoseconds(), ContinuousClock.now)
                let done = try await engine.withTransaction { session in try await turn(session) }
                if isWarm {
                    operations += done
                    wall += (ContinuousClock.now - start) / .nanoseconds(1)
                    cpu += Stopwatch.cpuNanoseconds() - cpuBefore
                }
                isWarm = true
            }
            return (operations, wall, cpu)
        }.value
        await engine.shutdown()
        return Measurement(operations: operations, wallNanoseconds: wall, cpuNanoseconds: cpu)
    }

    private static func emptyCopies(_ session: Session) async throws { try await session.execute("TRUNCATE copies") }

    /// Every row into a struct, all in an array.
    func readStructs() async throws -> Measurement {
        try await turns { session in try await session.query(Self.lines, as: Line.self).all().count }
    }

    func readTuples() async throws -> Measurement {
        try await turns { session in
            try await session.query(Self.lines, as: (Int, String, Double, Date).self).all().count
        }
    }

    /// Every row into a struct, none of them kept.
    func streamStructs() async throws -> Measurement {
        try await turns { session in
            var count = 0
            for try await _ in session.query(Self.lines, as: Line.self).stream() { count += 1 }
            return count
        }
    }

    func copyIn() async throws -> Measurement {
        let rows = (1...Lines.copied).map { ($0, "name \($0)", Double($0) * 1.5) }
        return try await turns(prepare: Self.emptyCopies) { session in
            try await session.copyIn("copies", columns: ["id", "name", "price"], rows: rows)
        }
    }

    func copyOut() async throws -> Measurement {
        try await turns { session in
            var count = 0
            for try await _ in try await session.copyOut(
                SQLQuery(unsafeRaw: "SELECT id, name, price FROM lines WHERE id <= \(Lines.copied)"),
                as: (Int, String, Double).self)
            {
                count += 1
            }
            return count
        }
    }

    func insertBatch() async throws -> Measurement {
        try await turns(prepare: Self.emptyCopies) { session in
            try await session.execute(
                batch: (1...Lines.inserted).lazy.map {
                    "INSERT INTO copies VALUES (\($0), \("name \($0)"), \(Double($0) * 1.5))"
                }
            ).count
        }
    }
}

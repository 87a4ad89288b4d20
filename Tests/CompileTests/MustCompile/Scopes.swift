// Scopes return anything, take their options, and are opened by hundreds of tasks over one engine, which may be a
// singleton.

import PostgresSessions

enum App {
    static let engine = try! Engine(url: "postgresql://localhost/shop")
}

final class Report {  // not Sendable, on purpose
    var lines: [String] = []
}

struct OutOfStock: Error {}

func aScopeReturnsWhatIsNotSendable() async throws -> Report {
    let report = try await App.engine.withTransaction { session in
        let report = Report()
        report.lines = try await session.query("SELECT name FROM items", as: String.self).all()
        return report
    }
    report.lines.append("end")
    return report
}

func aTransactionTakesItsOptions(engine: Engine) async throws -> Double? {
    try await engine.withTransaction(
        isolationLevel: .serializable, accessMode: .readWrite, retry: .onConflict(maxAttempts: 5)
    ) { session in
        try await session.query("SELECT sum(price) FROM items", as: Double?.self).one()
    }
}

func manyTasksEachHaveASession(engine: Engine) async throws -> Int {
    try await withThrowingTaskGroup(of: Int.self) { group in
        for id in 0..<100 {
            group.addTask {
                try await engine.withTransaction { session in
                    let found = try await session.query("SELECT id FROM items", as: Int.self).all()
                    guard found.contains(id) else { throw OutOfStock() }
                    return found.count
                }
            }
        }
        return try await group.reduce(0, +)
    }
}

func anEngineIsSharedByChildTasks(engine: Engine) async throws -> Int {
    async let first = engine.query("SELECT 1", as: Int.self).one()
    async let second = engine.query("SELECT 2", as: Int.self).one()
    return try await first + second
}

func aSessionMayMoveToOneTaskForGood(engine: Engine) async throws {
    let session = engine.makeSession()
    try await Task { _ = try await session.execute("SELECT 1") }.value
}

func rowsComeInEveryShape(session: Session) async throws {
    let pair: (Int, String)? = try await session.query("SELECT id, name FROM items", as: (Int, String).self).first()
    let name: String? = try await session.query("SELECT * FROM items").first()?["name", as: String.self]
    let last: CommandResult = try await session.commit(with: "UPDATE items SET price = \(1.5) WHERE id = \(7)")
    print(pair as Any, name as Any, last.tag, last.rowsAffected)
}

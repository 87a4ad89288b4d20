import Foundation
import PostgresSessions

/// pgbench's tables, in a schema of their own that is dropped afterwards.
struct Accounts: Sendable {
    static let scale = 10
    static let count = 100_000 * scale

    let schema: String

    /// Makes the tables that `pgbench -S` reads. From here on, this process's children find them: libpq hands PGOPTIONS to
    /// the server.
    static func create(url: String) async throws -> Accounts {
        let accounts = Accounts(schema: "benchmark_\(UUID().uuidString.prefix(8).lowercased())")
        setenv("PGOPTIONS", "-c search_path=\(accounts.schema)", 1)
        let engine = try Engine(Engine.Configuration(url: url, pool: PoolOptions(size: 1, maxOverflow: 0)))
        try await engine.execute("CREATE SCHEMA \(identifier: accounts.schema)")
        let rows: [SQLQuery] = [
            "CREATE TABLE pgbench_branches (bid int4 PRIMARY KEY, bbalance int4, filler char(88))",
            "INSERT INTO pgbench_branches SELECT bid, 0, '' FROM generate_series(1, \(scale)::int4) bid",
            "CREATE TABLE pgbench_accounts (aid int4 PRIMARY KEY, bid int4, abalance int4, filler char(84))",
            """
            INSERT INTO pgbench_accounts SELECT aid, (aid - 1) / 100000 + 1, 0, '' FROM generate_series(1, \(count)::int4) aid
            """,
            "VACUUM ANALYZE pgbench_accounts",
        ]
        for statement in rows { try await engine.execute(statement) }
        try await Lines.create(engine)
        await engine.shutdown()
        return accounts
    }

    func drop(url: String) async throws {
        let engine = try Engine(Engine.Configuration(url: url, pool: PoolOptions(size: 1, maxOverflow: 0)))
        try await engine.execute("DROP TABLE pgbench_branches, pgbench_accounts")
        try await Lines.drop(engine)
        try await engine.execute("DROP SCHEMA \(identifier: schema)")
        await engine.shutdown()
    }
}

/// Account numbers in random order, the same in each run.
struct AccountNumbers {
    private var state: UInt64
    private let count: UInt64

    init(seed: Int, count: Int) {
        state = 0x9E37_79B9_7F4A_7C15 &* UInt64(seed + 1)
        self.count = UInt64(count)
    }

    /// xorshift64, as in the C baselines.
    mutating func next() -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % count) + 1
    }
}

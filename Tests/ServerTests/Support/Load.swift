import PostgresSessions
import Testing

/// Opens so many connections at once, and leaves them idle.
func fill(_ shop: Shop, _ count: Int) async throws {
    try await shop.whileLocked {
        let tasks = (0..<count).map { _ in
            Task(executorPreference: testExecutor) {
                await outcome { try await shop.engine.execute(shop.lockedStatement) }
            }
        }
        try await shop.untilWaiting(count)
        for task in tasks { task.cancel() }
        for task in tasks { #expect(await task.value == .cancelled) }
    }
    try await eventually("\(count) are idle") { shop.engine.statistics.idle == count }
}

/// Each inserts one item; all must end well.
func transactions(_ count: Int, in shop: Shop, from first: Int = 0) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for id in first..<(first + count) {
            group.addTask {
                try await shop.engine.withTransaction { session in
                    _ = try await session.execute("INSERT INTO items VALUES (\(id), 'item')")
                }
            }
        }
        try await group.waitForAll()
    }
}

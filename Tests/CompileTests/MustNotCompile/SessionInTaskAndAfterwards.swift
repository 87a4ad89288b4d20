// A session that was given to a task is not used by the giver any more.
// expected: risks causing data races

import PostgresSessions

func test(engine: Engine) async throws {
    try await engine.withTransaction { session in
        Task { try await session.execute("SELECT 1") }
        try await session.execute("SELECT 2")
    }
}

// A connection that was given to a task is not used by the giver any more.
// expected: risks causing data races

import PostgresSessions

func test(engine: Engine) async throws {
    try await engine.withConnection { connection in
        Task { try await connection.execute("SELECT 1") }
        try await connection.execute("SELECT 2")
    }
}

// One connection is not shared by the child tasks of a group.
// expected: risks causing data races

import PostgresSessions

func test(engine: Engine) async throws {
    try await engine.withConnection { connection in
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await connection.execute("SELECT 1") }
            group.addTask { try await connection.execute("SELECT 2") }
            try await group.waitForAll()
        }
    }
}

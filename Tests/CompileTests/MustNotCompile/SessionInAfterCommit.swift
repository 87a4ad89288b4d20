// What runs after the commit has no transaction any more, and no session.
// expected: capture of 'session' with non-[sS]endable type 'Session' in a '@Sendable' closure

import PostgresSessions

func test(engine: Engine) async throws {
    try await engine.withTransaction { session in
        session.afterCommit { _ = try? await session.execute("SELECT 1") }
    }
}

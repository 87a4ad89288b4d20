// Inside a savepoint the inner session is the one to use: the outer one is not captured.
// expected: risks causing data races

import PostgresSessions

func ask(_ session: Session) async throws { try await session.execute("SELECT 1") }

func test(engine: Engine) async throws {
    try await engine.withTransaction { session in
        try await session.withSavepoint { inner in
            async let outer: Void = ask(session)
            try await inner.execute("SELECT 2")
            try await outer
        }
    }
}

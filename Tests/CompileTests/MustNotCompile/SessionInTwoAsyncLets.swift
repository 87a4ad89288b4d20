// One session does not run two statements at once.
// expected: sending 'session' risks causing data races

import PostgresSessions

func ask(_ session: Session) async throws -> Int { try await session.query("SELECT 1", as: Int.self).one() }

func test(engine: Engine) async throws -> Int {
    try await engine.withTransaction { session in
        async let first = ask(session)
        async let second = ask(session)
        return try await first + second
    }
}

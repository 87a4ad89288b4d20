// One connection does not run two statements at once.
// expected: sending 'connection' risks causing data races

import PostgresSessions

func ask(_ connection: Connection) async throws -> Int { try await connection.query("SELECT 1", as: Int.self).one() }

func test(engine: Engine) async throws -> Int {
    try await engine.withConnection { connection in
        async let first = ask(connection)
        async let second = ask(connection)
        return try await first + second
    }
}

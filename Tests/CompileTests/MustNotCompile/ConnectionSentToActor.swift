// A connection does not cross into an actor and stay here as well.
// expected: sending 'connection' risks causing data races

import PostgresSessions

actor Worker {
    func work(with connection: Connection) async throws { try await connection.execute("SELECT 1") }
}

func test(engine: Engine, worker: Worker) async throws {
    try await engine.withConnection { connection in
        try await worker.work(with: connection)
        try await connection.execute("SELECT 2")
    }
}

// A session does not cross into an actor and stay here as well.
// expected: sending 'session' risks causing data races

import PostgresSessions

actor Worker {
    func work(with session: Session) async throws { try await session.execute("SELECT 1") }
}

func test(engine: Engine, worker: Worker) async throws {
    try await engine.withTransaction { session in
        try await worker.work(with: session)
        try await session.execute("SELECT 2")
    }
}

// An actor does not keep the session of a scope: it ends with the scope.
// expected: risks causing data races

import PostgresSessions

actor Keeper {
    var session: Session?
    func keep(_ session: Session) { self.session = session }
}

func test(engine: Engine, keeper: Keeper) async throws {
    try await engine.withTransaction { session in
        await keeper.keep(session)
        try await session.execute("SELECT 2")
    }
}

// Ordinary functions that take a session are called from every scope: before, inside and after nested ones.

import PostgresSessions

private struct Item: Decodable, Sendable {
    var id: Int
    var name: String
}

private func load(_ session: Session) async throws -> [Item] {
    try await session.query("SELECT id, name FROM items", as: Item.self).all()
}

private func raise(_ session: Session, by factor: Double) async throws {
    try await session.execute("UPDATE items SET price = price * \(factor)")
}

private func count(_ connection: Connection) async throws -> Int {
    try await connection.query("SELECT count(*) FROM items", as: Int.self).one()
}

func helpersInEveryScope(engine: Engine) async throws -> Int {
    var seen = 0
    try await engine.withSession { session in
        try await raise(session, by: 2)
        seen += try await load(session).count
        seen += try await session.withSavepoint { session in
            try await raise(session, by: 2)
            return try await session.withTransaction { session in
                try await raise(session, by: 2)
                return try await load(session).count
            }
        }
        for item in try await load(session) { seen += item.id }
        try await raise(session, by: 2)
        try await session.commit()
    }
    seen += try await engine.withTransaction { session in
        try await raise(session, by: 2)
        return try await load(session).count
    }
    return seen
}

func helpersWithAConnection(engine: Engine) async throws -> Int {
    try await engine.withConnection { connection in
        try await connection.execute("VACUUM items")
        return try await count(connection) + count(connection)
    }
}

func helpersWithASessionMadeByHand(engine: Engine) async throws {
    let session = engine.makeSession()
    try await session.begin()
    try await raise(session, by: 2)
    try await session.commit()
    try await raise(session, by: 3)
    try await session.rollback()
    await session.close()
}

func aSessionJoinsWhatIsOpenOnAConnection(engine: Engine) async throws -> Int {
    try await engine.withConnection { connection in
        try await connection.execute("BEGIN")
        let count = try await connection.withSession(joinTransactionMode: .rollbackOnly) { session in
            try await raise(session, by: 2)
            return try await session.query("SELECT count(*) FROM items", as: Int.self).one()
        }
        try await connection.withSession { session in try await raise(session, by: 2) }
        try await connection.execute("COMMIT")
        return count
    }
}

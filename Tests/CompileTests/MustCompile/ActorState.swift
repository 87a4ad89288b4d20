// Bodies use the state of the actor that opened the scope, in nested scopes too.

import PostgresSessions

private func names(_ session: Session) async throws -> [String] {
    try await session.query("SELECT name FROM items", as: String.self).all()
}

actor Shop {
    let engine: Engine
    var sold = 0

    init(engine: Engine) { self.engine = engine }

    func count(_ number: Int) { sold += number }

    func sell(_ name: String, in session: Session) async throws {
        try await session.execute("DELETE FROM items WHERE name = \(name)")
        sold += 1
    }

    func sellEverything() async throws {
        try await engine.withTransaction { session in
            let items = try await names(session)
            sold += items.count
            session.afterCommit { await self.count(items.count) }
            for item in items { try await sell(item, in: session) }
            try await session.withSavepoint { session in
                sold += 1
                try await session.execute("UPDATE items SET price = 0")
            }
            try await session.execute("UPDATE items SET price = 1")
        }
    }
}

@MainActor final class Dashboard {
    var items: [String] = []

    func refresh(engine: Engine) async throws {
        try await engine.withSession { session in
            items = try await names(session)
            items += try await names(session)
            items += try await session.withSavepoint { session in try await names(session) }
        }
    }
}

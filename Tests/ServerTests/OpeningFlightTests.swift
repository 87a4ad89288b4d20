import PostgresSessions
import PostgresSessionsTesting
import Testing

private let one = PoolOptions(size: 1, maxOverflow: 0)

private func isolation(_ session: Session) async throws -> [String] {
    let query: SQLQuery = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    let now = try await session.query(query, as: (String, String).self).one()
    return [now.0, now.1]
}

@Suite(.timeLimit(.minutes(30))) struct `A first flight that is sent again` {
    /// Its first statement was prepared before its table changed.
    private func withStaleStatement(_ body: (Shop) async throws -> Void) async throws {
        try await withShop(one) { shop in
            _ = try await shop.engine.query("SELECT * FROM items").all()
            try await shop.witness.execute("ALTER TABLE items ADD COLUMN more int8")
            try await body(shop)
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test func `for a statement prepared anew has the transaction's isolation level and access mode`() async throws {
        try await withStaleStatement { shop in
            try await shop.engine.withTransaction(isolationLevel: .serializable, accessMode: .readOnly) { session in
                _ = try await session.query("SELECT * FROM items").all()
                #expect(try await isolation(session) == ["serializable", "on"])
            }
        }
    }

    @Test func `for a statement prepared anew has its savepoints`() async throws {
        try await withStaleStatement { shop in
            try await shop.engine.withTransaction { session in
                let ending = await outcome {
                    try await session.withSavepoint { session in
                        _ = try await session.query("SELECT * FROM items").all()
                        try await session.execute("INSERT INTO items VALUES (1, 'undone')")
                        throw OutOfStock()
                    }
                }
                #expect(ending == .other("OutOfStock(id: 7)"))
            }
            #expect(try await shop.itemCount() == 0)
        }
    }

    @Test(arguments: [0, 20, 60])
    func `for a connection that was lost has its savepoints and its isolation level`(bytes: Int) async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.warmUp()
            try shop.proxy.cut(afterBytes: bytes, .toServer)
            try await shop.engine.withTransaction(isolationLevel: .repeatableRead, accessMode: .readWrite) { session in
                let ending = await outcome {
                    try await session.withSavepoint { session in
                        try await session.execute("INSERT INTO items VALUES (1, 'undone')")
                        throw OutOfStock()
                    }
                }
                #expect(ending == .other("OutOfStock(id: 7)"))
                try await session.execute("INSERT INTO items VALUES (2, 'kept')")
                #expect(try await isolation(session) == ["repeatable read", "off"])
            }
            #expect(try await shop.names() == ["kept"])
            #expect(shop.engine.statistics.opened == 2)
        }
    }
}

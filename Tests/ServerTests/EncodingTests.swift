import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct `The client's encoding` {
    @Test(arguments: [
        "SET client_encoding TO latin1", "set names 'LATIN1'", "/* a */ SET SESSION client_encoding = 'SQL_ASCII'",
        "SET LOCAL client_encoding TO 'WIN1252'", "SELECT set_config('client_encoding', 'latin1', false)",
        "UPDATE pg_settings SET setting = 'latin1' WHERE name = 'client_encoding'",
    ])
    func `stays UTF8: the statement is refused before it is sent`(statement: String) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.withTransaction { session in
                try await session.execute("SELECT 1")
                let error = try await failure { try await session.execute("\(unsafeRaw: statement)") }
                #expect(Outcome(error) == .encoding && "\(error)".contains("UTF8"))
                #expect(try await session.query("SELECT \("ü漢")", as: String.self).one() == "ü漢")
            }
            #expect(shop.engine.statistics.opened == 1)
        }
    }

    @Test(arguments: [
        "SET client_encoding TO 'UTF8'", "SET NAMES DEFAULT", "RESET client_encoding", "SHOW client_encoding",
    ])
    func `may be set to what it is`(statement: String) async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            try await shop.engine.execute("\(unsafeRaw: statement)")
            #expect(try await shop.engine.query("SELECT \("ü漢")", as: String.self).one() == "ü漢")
        }
    }

    @Test func `that changes unseen ends its connection, so that nothing is misread`() async throws {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0)) { shop in
            let error = try await failure {
                try await shop.engine.execute("DO $$ BEGIN SET client_encoding TO latin1; END $$")
            }
            #expect(Outcome(error) == .connectionLost && "\(error)".contains("UTF8"), "\(error)")
            #expect(try await shop.engine.query("SELECT \("ü漢")", as: String.self).one() == "ü漢")
            #expect(shop.engine.statistics.opened == 2)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A fragment that ends in a comment` {
    @Test func `swallows nothing of what comes behind it`() async throws {
        try await withShop { shop in
            try await shop.engine.withTransaction { session in
                for id in 1...5 { try await session.insert(ShopItem(id: id, name: "n\(id)")) }
                let few = session.query(ShopItem.self).where("id > \(1) -- not the first")
                    .where("id < \(5) --").order(by: "name DESC -- last first").order(by: "id -- then")
                #expect(try await few.limit(2).all().map(\.id) == [4, 3])
                #expect(try await few.offset(1).forUpdate().all().map(\.id) == [3, 2])
                #expect(try await few.count() == 3)
                #expect(try await few.limit(1).count() == 1)
                #expect(try await few.exists())
                var copied: [Int] = []
                for try await id in try await session.copyOut("SELECT id FROM items WHERE id < 3 -- few", as: Int.self)
                {
                    copied.append(id)
                }
                #expect(copied.sorted() == [1, 2])
            }
        }
    }
}

import PostgresSessions
import PostgresSessionsTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct `A COMMIT without an answer` {
    private func commit(_ shop: Shop, retry: RetryPolicy = .never, fault: @Sendable (FaultProxy) -> Void) async throws
        -> (any Error, runs: Int)
    {
        let runs = Journal<Int>()
        let proxy = try shop.proxy
        let error = try await failure {
            try await shop.engine.withTransaction(retry: retry) { session in
                runs.append(1)
                try await session.execute("INSERT INTO items VALUES (\(runs.all.count), 'item')")
                fault(proxy)
            }
        }
        return (error, runs.all.count)
    }

    /// K189.
    @Test func `has an unknown outcome, is not retried, and may well be durable`() async throws {
        try await withShop(behindProxy: true) { shop in
            let (error, runs) = try await commit(shop, retry: .onConflict(maxAttempts: 5)) { proxy in
                proxy.cut(afterBytes: 0, .toClient)
            }
            #expect(Outcome(error) == .commitOutcomeUnknown)
            #expect(runs == 1)
            try await eventually("the server has committed") { try await shop.itemCount() == 1 }
            try await shop.engine.execute("SELECT 1")
        }
    }

    @Test func `has an unknown outcome where it never reached the server`() async throws {
        try await withShop(behindProxy: true) { shop in
            let (error, runs) = try await commit(shop, retry: .onConflict(maxAttempts: 5)) { proxy in
                proxy.cut(afterBytes: 3, .toServer)
            }
            #expect(Outcome(error) == .commitOutcomeUnknown)
            #expect(runs == 1)
            try await eventually("the server has let go of it") { try await shop.backends().isEmpty }
            #expect(try await shop.itemCount() == 0)
        }
    }

    @Test func `has an unknown outcome where it rode with the last statement`() async throws {
        try await withShop(behindProxy: true) { shop in
            try await shop.engine.warmUp()
            try shop.proxy.cut(afterBytes: 0, .toClient)
            let ending = await outcome {
                try await shop.engine.withTransaction(retry: .onConflict(maxAttempts: 5)) { session in
                    try await session.commit(with: "INSERT INTO items VALUES (1, 'item')")
                }
            }
            #expect(ending == .commitOutcomeUnknown)
            try await eventually("the server has committed") { try await shop.itemCount() == 1 }
        }
    }

    @Test func `leaves nothing of the transaction's characteristics to the next one`() async throws {
        try await withShop(behindProxy: true) { shop in
            try await shop.engine.warmUp()
            try await shop.engine.withSession { session in
                try await session.begin(isolationLevel: .serializable, accessMode: .readOnly)
                try await session.execute("SELECT 1")
                try shop.proxy.cut(afterBytes: 0, .toClient)
                #expect(await outcome { try await session.commit() } == .commitOutcomeUnknown)
                try await session.execute("INSERT INTO items VALUES (1, 'item')")
                let level = try await session.query("SHOW transaction_isolation", as: String.self).one()
                #expect(level == "read committed")
                try await session.commit()
            }
            #expect(try await shop.itemCount() == 1)
        }
    }

    @Test func `has an unknown outcome on a raw connection too`() async throws {
        try await withShop(behindProxy: true) { shop in
            let ending = await outcome {
                try await shop.engine.withConnection { connection in
                    try await connection.execute("BEGIN")
                    try await connection.execute("INSERT INTO items VALUES (1, 'item')")
                    try shop.proxy.cut(afterBytes: 0, .toClient)
                    try await connection.execute("COMMIT")
                }
            }
            #expect(ending == .commitOutcomeUnknown)
            try await eventually("the server has committed") { try await shop.itemCount() == 1 }
        }
    }

    @Test func `runs neither what is due after a commit nor what is due after a rollback`() async throws {
        try await withShop(behindProxy: true) { shop in
            let journal = Journal<String>()
            let ending = await outcome {
                try await shop.engine.withTransaction { session in
                    session.afterCommit { journal.append("committed") }
                    session.afterRollback { journal.append("rolled back") }
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                    try shop.proxy.cut(afterBytes: 0, .toClient)
                }
            }
            #expect(ending == .commitOutcomeUnknown)
            #expect(journal.all == [])
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `An opening flight` {
    /// The flight is cut at each of its bytes, on its way there and on its way back. Nothing is seen, nothing is done twice.
    @Test(arguments: [FaultProxy.Direction.toServer, .toClient])
    func `that is cut at any byte is sent again, and its work is done once`(direction: FaultProxy.Direction)
        async throws
    {
        try await withShop(PoolOptions(size: 1, maxOverflow: 0), behindProxy: true) { shop in
            let proxy = try shop.proxy
            for byte in 0..<200 where byte < 24 || byte % 8 == 0 {
                try await shop.engine.warmUp()
                proxy.cut(afterBytes: byte, direction)
                try await shop.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (\(byte), 'opening')")
                    // Nothing of the closing flight is to be cut.
                    proxy.cut(afterBytes: .max, direction)
                }
            }
            let ids = try await shop.witness.query("SELECT id FROM items ORDER BY id", as: Int.self).all()
            #expect(ids == (0..<200).filter { $0 < 24 || $0 % 8 == 0 })
        }
    }
}

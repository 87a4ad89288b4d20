import PostgresSessions

/// The library as a service uses it. Tasks prefer the engine's executor.
struct EngineContestant {
    var url: String
    var clients: Int
    var connections: Int
    var accounts: Int
    var seconds: Double

    func withEngine(_ body: (Engine) async throws -> Measurement) async throws -> Measurement {
        let options = PoolOptions(size: connections, maxOverflow: 0, minimumIdle: connections)
        let engine = try Engine(Engine.Configuration(url: url, pool: options))
        try await engine.warmUp()
        let measurement = try await body(engine)
        await engine.shutdown()
        return measurement
    }

    /// One autocommit statement through the engine.
    func select(onEngine: Bool) async throws -> Measurement {
        let accounts = accounts
        return try await withEngine { engine in
            let executor = onEngine ? engine.executor : nil
            return try await Stopwatch.run(clients: clients, seconds: seconds, executor: executor) { watch, index in
                var random = AccountNumbers(seed: index, count: accounts)
                var counted = 0
                while !watch.isOver {
                    let aid = random.next()
                    _ = try await engine.query(
                        "SELECT abalance FROM pgbench_accounts WHERE aid = \(aid)", as: Int32.self
                    ).one()
                    if watch.isCounting { counted += 1 }
                }
                return counted
            }
        }
    }

    /// One unit of work: BEGIN, SELECT, COMMIT.
    func transaction(onEngine: Bool) async throws -> Measurement {
        let accounts = accounts
        return try await withEngine { engine in
            let executor = onEngine ? engine.executor : nil
            return try await Stopwatch.run(clients: clients, seconds: seconds, executor: executor) { watch, index in
                var random = AccountNumbers(seed: index, count: accounts)
                var counted = 0
                while !watch.isOver {
                    let aid = random.next()
                    _ = try await engine.withTransaction { session in
                        try await session.query(
                            "SELECT abalance FROM pgbench_accounts WHERE aid = \(aid)", as: Int32.self
                        ).one()
                    }
                    if watch.isCounting { counted += 1 }
                }
                return counted
            }
        }
    }

    /// Checkout and return, nothing sent. More than one task yields while it holds its connection, so that others wait.
    func checkout() async throws -> Measurement {
        let yields = clients > 1
        return try await withEngine { engine in
            try await Stopwatch.run(clients: clients, seconds: seconds, executor: engine.executor) { watch, _ in
                var counted = 0
                while !watch.isOver {
                    try await engine.withConnection { _ in if yields { await Task.yield() } }
                    if watch.isCounting { counted += 1 }
                }
                return counted
            }
        }
    }
}

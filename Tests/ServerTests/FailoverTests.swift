import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Testing

/// Two servers behind one connection string that asks for the one that takes writes, and an engine on it.
private struct Cluster {
    let servers: [TemporaryPostgres]
    let engine: Engine

    /// The server that answers, by its port.
    func port() async throws -> Int {
        try await engine.query("SELECT current_setting('port')::int8", as: Int.self).one()
    }

    /// From its next transaction on, the server refuses to write: what a primary does that has become a standby.
    func demote(_ server: TemporaryPostgres) async throws {
        let admin = try Engine(url: server.url)
        try await admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        try await admin.execute("SELECT pg_reload_conf()")
        await admin.shutdown()
        // Each backend hears of it by a signal of its own, some later than others.
        let mode: SQLQuery = "SHOW default_transaction_read_only"
        let size = engine.configuration.pool.size
        let lent = Journal<Int32>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<size {
                group.addTask { [engine] in
                    try await engine.withConnection { connection in
                        lent.append(try await connection.query("SELECT pg_backend_pid()", as: Int32.self).one())
                        try await eventually("all are lent") { lent.all.count == size }
                        try await eventually("it is demoted") {
                            try await connection.query(mode, as: String.self).one() == "on"
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    func backends(of server: TemporaryPostgres) async throws -> Int {
        let admin = try Engine(url: server.url)
        let query: SQLQuery = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'failover'"
        let count = try await admin.query(query, as: Int.self).one()
        await admin.shutdown()
        return count
    }
}

private func withCluster(
    size: Int = 4, accessMode: AccessMode? = nil, target: String = "read-write", _ body: (Cluster) async throws -> Void
) async throws {
    try await withServer { first in
        try await withServer { second in
            for server in [first, second] {
                let engine = try Engine(url: server.url)
                try await engine.execute("CREATE TABLE items (id int8, name text NOT NULL)")
                await engine.shutdown()
            }
            let url = """
                host=127.0.0.1,127.0.0.1 port=\(first.port),\(second.port) user=postgres dbname=postgres \
                target_session_attrs=\(target) application_name=failover
                """
            let options = PoolOptions(size: size, maxOverflow: 0, minimumIdle: size)
            let session = SessionOptions(accessMode: accessMode)
            let engine = try Engine(Engine.Configuration(url: url, pool: options, session: session))
            try await engine.warmUp()
            try await eventually("\(size) are open") { engine.statistics.idle == size }
            do {
                try await body(Cluster(servers: [first, second], engine: engine))
                await engine.shutdown()
            } catch {
                await engine.shutdown(grace: .zero)
                throw error
            }
        }
    }
}

/// G166, I162; SQLAlchemy's §3.11.
@Suite(.timeLimit(.minutes(30))) struct `A primary that is demoted` {
    @Test func `is left by every connection at the first refusal to write`() async throws {
        try await withCluster { cluster in
            let engine = cluster.engine
            #expect(try await cluster.port() == cluster.servers[0].port)
            try await cluster.demote(cluster.servers[0])
            let refused = await outcome { try await engine.execute("INSERT INTO items VALUES (1, 'item')") }
            #expect(refused == .server(.readOnlySqlTransaction))
            for id in 0..<20 { try await engine.execute("INSERT INTO items VALUES (\(id), 'item')") }
            #expect(try await cluster.port() == cluster.servers[1].port)
            try await eventually("none is pinned") { try await cluster.backends(of: cluster.servers[0]) == 0 }
        }
    }

    @Test func `is left by many tasks with at most one refusal for each connection`() async throws {
        try await withCluster { cluster in
            let engine = cluster.engine
            try await cluster.demote(cluster.servers[0])
            let refusals = Journal<Outcome>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in 0..<64 {
                    group.addTask {
                        let ending = await outcome {
                            try await engine.withTransaction { session in
                                try await session.execute("INSERT INTO items VALUES (\(id), 'item')")
                            }
                        }
                        if ending != .returned { refusals.append(ending) }
                    }
                }
                try await group.waitForAll()
            }
            #expect(refusals.all.allSatisfy { $0 == .server(.readOnlySqlTransaction) })
            #expect((1...4).contains(refusals.all.count))
            #expect(try await cluster.port() == cluster.servers[1].port)
        }
    }

    @Test(arguments: [0, 1, 2, 3])
    func `is noticed through every door`(door: Int) async throws {
        try await withCluster { cluster in
            let engine = cluster.engine
            try await cluster.demote(cluster.servers[0])
            let refused = await outcome {
                switch door {
                case 0: try await engine.withConnection { try await $0.execute("INSERT INTO items VALUES (1, 'a')") }
                case 1: try await engine.withConnection { try await $0.copyIn("items", rows: [(1, "a")]) }
                case 2: try await engine.withTransaction { try await $0.copyIn("items", rows: [(1, "a")]) }
                default:
                    try await engine.withTransaction { session in
                        try await session.execute(batch: ["INSERT INTO items VALUES (1, 'a')"])
                    }
                }
            }
            #expect(refused == .server(.readOnlySqlTransaction))
            #expect(try await cluster.port() == cluster.servers[1].port)
        }
    }

    @Test func `keeps the connections of those who only read`() async throws {
        try await withCluster(accessMode: .readOnly, target: "any") { cluster in
            let engine = cluster.engine
            let refused = await outcome {
                try await engine.withTransaction { try await $0.execute("INSERT INTO items VALUES (1, 'item')") }
            }
            #expect(refused == .server(.readOnlySqlTransaction))
            let port = try await cluster.port()
            #expect(port == cluster.servers[0].port)
            #expect(engine.statistics.opened == 4)
        }
    }

    @Test func `keeps the connection of a transaction that was said to be read only`() async throws {
        try await withCluster { cluster in
            let engine = cluster.engine
            let refused = await outcome {
                try await engine.withTransaction(accessMode: .readOnly) { session in
                    try await session.execute("INSERT INTO items VALUES (1, 'item')")
                }
            }
            #expect(refused == .server(.readOnlySqlTransaction))
            try await engine.execute("INSERT INTO items VALUES (1, 'item')")
            #expect(engine.statistics.opened == 4)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A connection string of a primary and a standby` {
    private struct Pair {
        let primary: TemporaryPostgres
        let standby: TemporaryPostgres

        func engine(_ hosts: [TemporaryPostgres], _ target: String) throws -> Engine {
            let names = hosts.map(\.host).joined(separator: ",")
            let ports = hosts.map { "\($0.port)" }.joined(separator: ",")
            let url = "host=\(names) port=\(ports) user=postgres dbname=postgres target_session_attrs=\(target)"
            let options = PoolOptions(size: 2, maxOverflow: 0, checkoutTimeout: .seconds(60))
            return try Engine(Engine.Configuration(url: url, pool: options))
        }
    }

    /// The standby follows nobody: it recovers for ever, and lets itself be read.
    private func withPair(_ body: (Pair) async throws -> Void) async throws {
        try await withServer { primary in
            try await withServer { standby in
                try await standby.shutDown()
                let signal = "\(standby.dataDirectory)/standby.signal"
                try #require(FileManager.default.createFile(atPath: signal, contents: nil))
                let owner = try FileManager.default.attributesOfItem(atPath: standby.dataDirectory)
                try FileManager.default.setAttributes(
                    owner.filter { [.ownerAccountID, .groupOwnerAccountID].contains($0.key) }, ofItemAtPath: signal)
                try await standby.startAgain()
                try await body(Pair(primary: primary, standby: standby))
            }
        }
    }

    /// I156.
    @Test func `leads to the server that it asks for, in the pool and beside it, in whatever order they stand`()
        async throws
    {
        try await withPair { pair in
            for hosts in [[pair.primary, pair.standby], [pair.standby, pair.primary]] {
                let expected = [
                    "any": hosts[0], "read-write": pair.primary, "primary": pair.primary, "read-only": pair.standby,
                    "standby": pair.standby, "prefer-standby": pair.standby,
                ]
                for (target, server) in expected {
                    let engine = try pair.engine(hosts, target)
                    let port = try await engine.query("SELECT current_setting('port')::int8", as: Int.self).one()
                    #expect(port == server.port, "\(target)")
                    let isListening = await outcome { try await hear(engine) } == .returned
                    // A standby refuses LISTEN, so whoever could listen has reached the primary.
                    #expect(isListening == (server.port == pair.primary.port), "\(target)")
                    await engine.shutdown()
                }
            }
        }
    }

    @Test func `says why a standby does not let anybody listen`() async throws {
        try await withPair { pair in
            let engine = try pair.engine([pair.standby], "any")
            let error = await #expect(throws: ServerError.self) {
                for try await _ in engine.listen(on: "news") { return }
            }
            #expect(error?.query == #"LISTEN "news""# && error?.message.contains("recovery") == true)
            await engine.shutdown()
        }
    }

    /// Listens on a connection that is not the pool's, until it has heard something.
    private func hear(_ engine: Engine) async throws {
        let news = Task(executorPreference: testExecutor) {
            for try await _ in engine.listen(on: "news") { return }
        }
        let hasEnded = Journal<Bool>()
        let watch = Task {
            _ = await news.result
            hasEnded.append(true)
        }
        try await eventually("it has heard, or may not listen") {
            _ = try? await engine.execute("NOTIFY news")
            return !hasEnded.all.isEmpty
        }
        await watch.value
        try await news.value
    }

    /// I157 I165.
    @Test(arguments: [("read-write", "session is read-only"), ("primary", "server is in hot standby mode")])
    func `says what it lacks where only the standby is there`(target: String, reason: String) async throws {
        try await withPair { pair in
            let engine = try pair.engine([pair.standby], target)
            let error = try await failure { try await engine.ping() }
            #expect(Outcome(error) == .connectFailed)
            #expect("\(error)".contains(reason) && "\(error)".contains("127.0.0.1:\(pair.standby.port)"), "\(error)")
            #expect(engine.statistics.opened == 0)
            await engine.shutdown()
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A server that goes away` {
    /// 57P01 on every idle connection, then refusals: the next host is asked (I158).
    @Test(arguments: [TemporaryPostgres.ShutdownMode.fast, .immediate])
    func `hands its clients to the next host, and none of them is told`(
        mode: TemporaryPostgres.ShutdownMode
    ) async throws {
        try await withCluster { cluster in
            try await cluster.servers[0].shutDown(mode)
            for id in 0..<20 {
                try await cluster.engine.withTransaction { session in
                    try await session.execute("INSERT INTO items VALUES (\(id), 'item')")
                }
            }
            #expect(try await cluster.port() == cluster.servers[1].port)
        }
    }

    /// Smart mode lets sessions end and refuses new ones with 57P03, so that a pool must neither fail nor storm.
    @Test func `slowly serves who is connected, and is used again when it is back`() async throws {
        try await withServer { server in
            let options = PoolOptions(size: 2, maxOverflow: 0, checkoutTimeout: .seconds(60))
            let engine = try Engine(Engine.Configuration(url: server.url, pool: options))
            try await engine.execute("CREATE TABLE items (id int8)")
            let restart = try await engine.withTransaction { session in
                try await session.execute("INSERT INTO items VALUES (1)")
                let restart = Task(executorPreference: testExecutor) { try await server.restart(.smart) }
                try await eventually("new sessions are refused") {
                    let patience = PoolOptions(size: 1, checkoutTimeout: .milliseconds(500))
                    let probe = try Engine(Engine.Configuration(url: server.url, pool: patience))
                    let isRefused = await outcome { try await probe.execute("SELECT 1") } != .returned
                    await probe.shutdown()
                    return isRefused
                }
                let late = Task(executorPreference: testExecutor) {
                    try await engine.execute("INSERT INTO items VALUES (3)")
                }
                try await eventually("the pool has heard of it") { engine.statistics.connectFailures > 0 }
                try await session.execute("INSERT INTO items VALUES (2)")
                engine.invalidate()
                return (restart, late)
            }
            try await restart.0.value
            _ = try await restart.1.value
            #expect(try await engine.query("SELECT count(*) FROM items", as: Int.self).one() == 3)
            await engine.shutdown()
        }
    }

    /// 57P05: no peer's tests have it.
    @Test func `from idle sessions takes no connection from anybody who works`() async throws {
        try await withServer(settings: ["idle_session_timeout": "100ms"]) { server in
            let options = PoolOptions(size: 2, maxOverflow: 0)
            let engine = try Engine(Engine.Configuration(url: server.url, pool: options))
            for round in 1...5 {
                #expect(try await engine.query("SELECT \(round)", as: Int.self).one() == round)
                try await eventually("it was closed while it was idle") { engine.statistics.closed >= round }
            }
            await engine.shutdown()
        }
    }
}

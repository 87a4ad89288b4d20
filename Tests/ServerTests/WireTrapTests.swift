import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Testing

private let megabyte = 1 << 20
private let one = PoolOptions(size: 1, maxOverflow: 0)

/// Bytes in which a piece that is lost, doubled or out of place shows. A prime number of them is drawn, and repeated.
private func noise(_ count: Int) -> [UInt8] {
    var state: UInt32 = 2_463_534_242
    let drawn = (0..<min(count, 99_991)).map { _ in
        state ^= state << 13
        state ^= state >> 17
        state ^= state << 5
        return UInt8(truncatingIfNeeded: state >> 11)
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + drawn.count)
    while bytes.count < count { bytes += drawn }
    bytes.removeLast(bytes.count - count)
    return bytes
}

@Suite(.timeLimit(.minutes(30)), .serialized) struct `Something large` {
    @Test func `comes back whole as one value`() async throws {
        try await withShop(one) { shop in
            let text = try await shop.engine.query(
                "SELECT repeat('0123456789', \(Int32(5 * megabyte)))", as: String.self
            ).one()
            #expect(text.utf8.count == 50 * megabyte)
            #expect(text.utf8.suffix(10).elementsEqual("0123456789".utf8))
            try await shop.engine.execute("SELECT 1")
        }
    }

    @Test func `comes back whole as many rows`() async throws {
        try await withShop(one) { shop in
            let rows = try await shop.engine.withTransaction { session in
                try await session.query("SELECT repeat('x', 1000) FROM generate_series(1, 50000)", as: String.self)
                    .all()
            }
            #expect(rows.count == 50_000)
            #expect(rows.allSatisfy { $0.utf8.count == 1000 })
        }
    }

    @Test func `goes there whole as a parameter`() async throws {
        let bytes = noise(50 * megabyte)
        try await withShop(one) { shop in
            let length = try await shop.engine.query("SELECT octet_length(\(bytes))", as: Int.self).one()
            #expect(length == bytes.count)
            try await shop.engine.execute("SELECT 1")
        }
    }

    /// G116.
    @Test func `goes there and comes back in one flight`() async throws {
        let bytes = noise(50 * megabyte)
        try await withShop(one) { shop in
            let back = try await shop.engine.withTransaction { session in
                try await session.query("SELECT \(bytes)", as: [UInt8].self).one()
            }
            #expect(Data(back) == Data(bytes))
            try await shop.engine.execute("SELECT 1")
        }
    }

    /// M212.
    @Test func `goes there and comes back in TLS records`() async throws {
        try await withServer(ssl: true) { server in
            let engine = try Engine(Engine.Configuration(url: server.url, pool: one))
            #expect(
                try await engine.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", as: Bool.self).one())
            // Sizes around a TLS record's and libpq's buffer's: what is decrypted already makes no socket readable.
            for size in [1, 16_383, 16_384, 16_385, 32_768, 100_000, 20 * megabyte] {
                let bytes = noise(size)
                let back = try await engine.withTransaction { session in
                    try await session.query("SELECT \(bytes)", as: [UInt8].self).one()
                }
                #expect(Data(back) == Data(bytes), "\(size) bytes")
            }
            #expect(engine.statistics.opened == 1)
            await engine.shutdown()
        }
    }

    /// libpq's buffers grow to the largest message, and stay so for the connection's life.
    @Test(arguments: ["a value", "a parameter", "parameters of one flight", "a line of COPY"])
    func `costs its connection, whose buffers it has filled, when that comes back`(_ message: String) async throws {
        try await withShop(one) { shop in
            try await Self.carry(20 * megabyte, as: message, in: shop)
            try await eventually("it is closed") { shop.engine.statistics.closed == 1 }
            try await shop.engine.execute("SELECT 1")
            #expect(shop.engine.statistics.opened == 2)
        }
    }

    private static func carry(_ size: Int, as message: String, in shop: Shop) async throws {
        let engine = shop.engine
        switch message {
        case "a value":
            _ = try await engine.query("SELECT repeat('x', \(Int32(size)))", as: String.self).one()
        case "a parameter":
            try await engine.withTransaction { _ = try await $0.execute("SELECT length(\(noise(size)))") }
        case "parameters of one flight":
            let quarter = noise(size / 4)
            try await engine.withTransaction { session in
                _ = try await session.pipeline(
                    session.query("SELECT length(\(quarter))", as: Int.self),
                    session.query("SELECT length(\(quarter))", as: Int.self),
                    session.query("SELECT length(\(quarter))", as: Int.self),
                    session.query("SELECT length(\(quarter))", as: Int.self))
            }
        default:
            try await engine.withSession { session in
                let lines = try await session.copyOut("SELECT repeat('x', \(unsafeRaw: "\(size)"))", as: String.self)
                for try await line in lines { #expect(line.utf8.count == size) }
            }
        }
    }

    @Test func `in many pieces costs nothing`() async throws {
        try await withShop(one) { shop in
            _ = try await shop.engine.query("SELECT repeat('x', \(Int32(10 * megabyte)))", as: String.self).one()
            for _ in 1...2 {
                let rows = try await shop.engine.query(
                    "SELECT repeat('x', 1000) FROM generate_series(1, 40000)", as: String.self
                ).all()
                #expect(rows.count == 40_000)
            }
            let piece = noise(100_000)
            try await shop.engine.withTransaction { session in
                _ = try await session.execute(batch: (1...400).lazy.map { _ in "SELECT length(\(piece))" })
            }
            #expect(shop.engine.statistics.opened == 1 && shop.engine.statistics.closed == 0)
        }
    }

    @Test func `that the server cannot hold is its error and costs no connection`() async throws {
        try await withShop(one) { shop in
            let ending = await outcome { try await shop.engine.execute("SELECT repeat('x', 1073741823) || 'x'") }
            #expect(ending == .server(.programLimitExceeded) || ending == .server(.outOfMemory))
            try await shop.engine.execute("SELECT 1")
            #expect(shop.engine.statistics.opened == 1)
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `TLS` {
    /// H146 H145.
    @Test func `is checked against the certificate and the name`() async throws {
        try await withServer(ssl: true) { server in
            let certificate = try #require(server.certificateFile)
            let strict = try Engine(
                url: server.url(parameters: ["sslmode": "verify-full", "sslrootcert": certificate]))
            #expect(try await strict.query("SELECT 1", as: Int.self).one() == 1)
            await strict.shutdown()

            let url = server.url(parameters: ["sslmode": "verify-full", "sslrootcert": "/nonexistent"])
            let pool = PoolOptions(checkoutTimeout: .seconds(10))
            let suspicious = try Engine(Engine.Configuration(url: url, pool: pool))
            let error = try await failure { try await suspicious.execute("SELECT 1") }
            #expect([.connectFailed, .checkoutTimedOut].contains(Outcome(error)))
            #expect("\(error)".contains("root certificate"))
            await suspicious.shutdown()
        }
    }

    /// H144 H145. libpq tries again inside its connect what the server has refused with TLS, or without.
    @Test(arguments: [("hostssl", "prefer"), ("hostssl", "allow"), ("hostnossl", "prefer"), ("hostnossl", "allow")])
    func `is used where the server wants it, and falling back costs the pool nothing`(
        rule: String, mode: String
    ) async throws {
        try await withServer(ssl: true) { server in
            try Data("\(rule) all all 127.0.0.1/32 trust\n".utf8).write(
                to: URL(fileURLWithPath: "\(server.dataDirectory)/pg_hba.conf"))
            try await server.restart()
            let pool = PoolOptions(size: 3, maxOverflow: 0)
            let engine = try Engine(
                Engine.Configuration(url: server.url(parameters: ["sslmode": mode]), pool: pool))
            try await engine.withConnection { _ in
                try await engine.withConnection { _ in
                    let isEncrypted = try await engine.query(
                        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", as: Bool.self
                    ).one()
                    #expect(isEncrypted == (rule == "hostssl"))
                }
            }
            let now = engine.statistics
            #expect(now.opened == 3 && now.closed == 0 && now.connectFailures == 0, "\(now)")
            await engine.shutdown()
        }
    }

    /// G128.
    @Test func `that is cut is a lost connection`() async throws {
        try await withServer(ssl: true) { server in
            let proxy = try await FaultProxy.start(to: server.url)
            let engine = try Engine(Engine.Configuration(url: proxy.url, pool: one))
            try await engine.withSession { session in
                try await session.execute("SELECT 1")
                proxy.cut(afterBytes: 20, .toClient)
                let ending = await outcome { try await session.execute("SELECT repeat('x', 100000)") }
                #expect(ending == .connectionLost)
                try await session.rollback()
                try await session.execute("SELECT 1")
            }
            await engine.shutdown()
            await proxy.stop()
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `A peer` {
    @Test func `that stops reading does not stop the client for good`() async throws {
        let bytes = noise(20 * megabyte)
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.warmUp()
            let proxy = try shop.proxy
            proxy.stall(.toServer)
            let task = Task(executorPreference: testExecutor) {
                try await shop.engine.query("SELECT octet_length(\(bytes))", as: Int.self).one()
            }
            // Others are served meanwhile: nothing of the library's is blocked by the full socket.
            try await eventually("it is under way") { shop.engine.statistics.leased == 1 }
            #expect(try await shop.witness.query("SELECT 1", as: Int.self).one() == 1)
            proxy.resume()
            #expect(try await task.value == bytes.count)
        }
    }

    @Test func `that stops reading for good is left by a cancelled task`() async throws {
        let bytes = noise(20 * megabyte)
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.warmUp()
            let proxy = try shop.proxy
            proxy.stall(.toServer)
            let task = Task(executorPreference: testExecutor) {
                await outcome { try await shop.engine.execute("SELECT octet_length(\(bytes))") }
            }
            try await eventually("it is under way") { shop.engine.statistics.leased == 1 }
            let start = ContinuousClock.now
            task.cancel()
            let ending = await task.value
            #expect(ending == .cancelled)
            #expect(ContinuousClock.now - start < .seconds(20))
            proxy.resume()
            #expect(try await shop.engine.query("SELECT 42", as: Int.self).one() == 42)
        }
    }

    #if os(Linux)  // the option is the kernel's
        /// G126.
        @Test func `that stops reading for good is left without a deadline where the kernel was given one`()
            async throws
        {
            let bytes = noise(20 * megabyte)
            try await withServer { server in
                let proxy = try await FaultProxy.start(to: server.url(parameters: ["tcp_user_timeout": "1000"]))
                let engine = try Engine(Engine.Configuration(url: proxy.url, pool: one))
                let start = ContinuousClock.now
                let ending = await outcome {
                    try await engine.withTransaction { session in
                        try await session.execute("SELECT 1")
                        proxy.stall(.toServer)
                        try await session.execute("SELECT octet_length(\(bytes))")
                    }
                }
                #expect(ending == .connectionLost)
                #expect(ContinuousClock.now - start < .seconds(20), "of the 30 that are usual")
                proxy.resume()
                #expect(try await engine.query("SELECT 42", as: Int.self).one() == 42)
                await engine.shutdown()
                await proxy.stop()
            }
        }
    #endif

    @Test func `that stops writing in the middle of an answer does not lose it`() async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.warmUp()
            let proxy = try shop.proxy
            let before = proxy.bytesToClient
            let task = Task(executorPreference: testExecutor) {
                try await shop.engine.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)", as: String.self)
                    .all()
            }
            try await eventually("the answer has begun") { proxy.bytesToClient > before + 10_000 }
            proxy.stall(.toClient)
            #expect(try await shop.witness.query("SELECT 1", as: Int.self).one() == 1)
            proxy.resume()
            #expect(try await task.value.count == 20_000)
        }
    }

    @Test func `that stops writing for good is left when the statement's time is up`() async throws {
        try await withShop(one, session: SessionOptions(statementTimeout: .seconds(2)), behindProxy: true) {
            shop in
            try await shop.engine.withSession { session in
                try await session.execute("SELECT 1")
                try shop.proxy.stall()
                let start = ContinuousClock.now
                let ending = await outcome { try await session.execute("SELECT 2") }
                #expect(ending == .statementTimedOut)
                #expect(ContinuousClock.now - start < .seconds(20))
                try shop.proxy.resume()
                try await session.rollback()
                try await session.execute("SELECT 3")
            }
        }
    }

    /// Epoll tells each change once, and one read takes a part only of what has come.
    @Test func `that has said everything at once is heard to the end`() async throws {
        try await withShop(one, behindProxy: true) { shop in
            try await shop.engine.warmUp()
            let proxy = try shop.proxy
            for rows in [50, 100, 150, 200, 250, 300, 350, 500] {
                proxy.stall(.toClient)
                let task = Task(executorPreference: testExecutor) {
                    try await shop.engine.withTransaction { session in
                        try await session.query(
                            "SELECT repeat('x', 100) FROM generate_series(1, \(rows))", as: String.self
                        ).all()
                    }
                }
                try await eventually("the server has answered and waits") {
                    let query: SQLQuery = """
                        SELECT count(*) FROM pg_stat_activity
                        WHERE application_name = \(shop.name) AND state = 'idle in transaction'
                        """
                    return try await shop.witness.query(query, as: Int.self).one() == 1
                }
                proxy.resume()
                #expect(try await task.value.count == rows)
            }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct `Many parameters` {
    private func query(_ count: Int) -> SQLQuery {
        let values = (1...count).map { number -> SQLQuery in "\(Int16(truncatingIfNeeded: number % 100))" }
        return "SELECT count(*) FROM (VALUES (\(values.joined(separator: "), (")))) AS v(x)"
    }

    @Test func `are as many as the protocol can count`() async throws {
        try await withShop(one) { shop in
            let count = try await shop.engine.query(query(65_535), as: Int.self).one()
            #expect(count == 65_535)
        }
    }

    /// N221.
    @Test func `are refused where they are one more, and nothing is sent`() async throws {
        try await withShop(one, behindProxy: true) { shop in
            let error = try await failure { try await shop.engine.execute(query(65_536)) }
            #expect(Outcome(error) == .encoding)
            #expect("\(error)".contains("65535") || "\(error)".contains("65,535"))
            #expect(try shop.proxy.connections == 0)
        }
    }
}

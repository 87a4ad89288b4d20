#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
import PostgresSessionsTesting
import Testing

/// An echo server, a proxy before it, and a client behind the proxy.
private struct Fixture {
    let server: EchoServer
    let proxy: FaultProxy

    init() async throws {
        server = try EchoServer()
        proxy = try await FaultProxy.start(to: server.url)
    }

    func client() throws -> Peer { try Peer(port: proxy.port) }
}

@Suite(.timeLimit(.minutes(15))) struct `A fault proxy` {
    @Test func `passes bytes in both directions in order and unchanged`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        try client.send(bytes)
        #expect(try client.receive(bytes.count) == bytes)
        #expect(fixture.proxy.bytesToServer == bytes.count)
        // They are counted when they have been passed on.
        #expect(await eventually { fixture.proxy.bytesToClient == bytes.count })
        await fixture.proxy.stop()
    }

    @Test func `counts a flight each time the client speaks after the server`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        for _ in 0..<3 {
            try client.send("question")
            #expect(try client.receiveText(8) == "question")
        }
        #expect(fixture.proxy.flights == 3)
        await fixture.proxy.stop()
    }

    @Test func `counts what the client says before it has heard the answer as one flight`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        fixture.proxy.stall(.toClient)
        for round in 1...3 {
            try client.send("part")
            #expect(await eventually { fixture.proxy.bytesToServer == round * 4 })
        }
        fixture.proxy.resume()
        #expect(try client.receiveText(12) == "partpartpart")
        #expect(fixture.proxy.flights == 1)
        await fixture.proxy.stop()
    }

    @Test func `does not count a goodbye, for which nobody waits`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        try client.send("X\0\0\0\u{4}")
        #expect(try client.receive(5).count == 5)
        #expect(fixture.proxy.flights == 0)
        await fixture.proxy.stop()
    }

    @Test(arguments: [Duration.milliseconds(2), .milliseconds(10)])
    func `adds its latency to each round trip`(latency: Duration) async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        fixture.proxy.latency = latency
        var fastest = Duration.seconds(60)
        // The machine may be busy: one undisturbed round trip is enough.
        for round in 0..<1000 where round < 20 || fastest >= latency + .milliseconds(5) {
            let time = try ContinuousClock().measure {
                try client.send("ping")
                _ = try client.receive(4)
            }
            fastest = min(fastest, time)
        }
        #expect(fastest >= latency)
        #expect(fastest < latency + .milliseconds(5))
        #expect(fixture.proxy.latency == latency)
        await fixture.proxy.stop()
    }

    @Test func `keeps the order of bytes when its latency falls`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        fixture.proxy.latency = .milliseconds(100)
        try client.send("first ")
        #expect(await eventually { fixture.proxy.flights == 1 })
        fixture.proxy.latency = .zero
        try client.send("second")
        #expect(try client.receiveText(12) == "first second")
        await fixture.proxy.stop()
    }

    @Test func `stalls one direction and loses nothing`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        fixture.proxy.stall(.toClient)
        try client.send("hello")
        #expect(await eventually { fixture.server.bytes == [Array("hello".utf8)] })
        client.wait(atMost: 0.05)
        #expect(throws: SocketFailure(number: EAGAIN)) { try client.receive(1) }
        client.wait(atMost: 10)
        fixture.proxy.resume()
        #expect(try client.receiveText(5) == "hello")
        await fixture.proxy.stop()
    }

    @Test func `takes only a bounded amount while it is stalled`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        fixture.proxy.stall()
        client.wait(atMost: 0.2)
        var taken = 0
        let megabyte = [UInt8](repeating: 7, count: 1 << 20)
        #expect(throws: SocketFailure(number: EAGAIN)) {
            while taken < 64 << 20 { taken += try client.write(megabyte) }
        }
        #expect(taken < 32 << 20)
        #expect(fixture.proxy.bytesToServer == 0)
        fixture.proxy.resume()
        client.wait(atMost: 10)
        #expect(try client.receive(taken).count == taken)
        await fixture.proxy.stop()
    }

    @Test(arguments: [0, 1, 117])
    func `cuts a connection exactly at a byte to the server`(count: Int) async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        try client.send("before")
        #expect(try client.receiveText(6) == "before")
        fixture.proxy.cut(afterBytes: count, .toServer)
        try client.send([UInt8](repeating: 1, count: 500))
        #expect(await eventually { fixture.proxy.openConnections == 0 })
        #expect(await eventually { fixture.server.bytes[0].count == 6 + count })
    }

    @Test(arguments: [0, 1, 117])
    func `cuts a connection exactly at a byte to the client`(count: Int) async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        fixture.proxy.cut(afterBytes: count, .toClient)
        try client.send([UInt8](repeating: 1, count: 500))
        #expect(try client.receiveAll().count == count)
        let next = try fixture.client()
        try next.send("acts once")
        #expect(try next.receiveText(9) == "acts once")
        await fixture.proxy.stop()
    }

    @Test func `cuts a connection behind a byte that no other one follows`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        fixture.proxy.cut(afterBytes: 5, .toServer)
        try client.send("hello")
        #expect(await eventually { fixture.proxy.openConnections == 0 })
        #expect(await eventually { fixture.server.bytes == [Array("hello".utf8)] })
        await fixture.proxy.stop()
    }

    @Test func `ends every connection at once and takes the next`() async throws {
        let fixture = try await Fixture()
        let clients = try [fixture.client(), fixture.client()]
        for client in clients {
            try client.send("up")
            #expect(try client.receiveText(2) == "up")
        }
        fixture.proxy.cut()
        #expect(fixture.proxy.openConnections == 0)
        for client in clients { #expect(try client.receiveAll() == []) }
        let next = try fixture.client()
        try next.send("again")
        #expect(try next.receiveText(5) == "again")
        #expect(fixture.proxy.connections == 3)
        await fixture.proxy.stop()
    }

    @Test func `resets connections when told to`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        try client.send("up")
        #expect(try client.receiveText(2) == "up")
        fixture.proxy.cut(.reset)
        #expect(throws: SocketFailure(number: ECONNRESET)) { try client.receive(1) }
        await fixture.proxy.stop()
    }

    @Test func `refuses new connections, keeps the open ones, and accepts on the same port again`() async throws {
        let fixture = try await Fixture()
        let open = try fixture.client()
        try open.send("up")
        #expect(try open.receiveText(2) == "up")
        for _ in 0..<3 {
            fixture.proxy.refuse()
            #expect(throws: SocketFailure(number: ECONNREFUSED)) { try fixture.client() }
            try open.send("still")
            #expect(try open.receiveText(5) == "still")
            fixture.proxy.accept()
            let next = try fixture.client()
            try next.send("back")
            #expect(try next.receiveText(4) == "back")
        }
        await fixture.proxy.stop()
    }

    @Test func `passes the end of a connection on`() async throws {
        let fixture = try await Fixture()
        var client: Peer? = try fixture.client()
        try client?.send("up")
        #expect(try client?.receiveText(2) == "up")
        #expect(fixture.proxy.openConnections == 1)
        client = nil
        #expect(await eventually { fixture.proxy.openConnections == 0 })
        await fixture.proxy.stop()
    }

    @Test func `ends everything when it stops, and may be stopped twice`() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        await fixture.proxy.stop()
        await fixture.proxy.stop()
        fixture.proxy.stall()
        #expect(try client.receiveAll() == [])
        #expect(throws: SocketFailure(number: ECONNREFUSED)) { try fixture.client() }
    }

    @Test func `ends the client's connection when the server refuses`() async throws {
        let probe = try await FaultProxy.start(to: "postgresql://127.0.0.1:1/database")
        let client = try Peer(port: probe.port)
        #expect(throws: Never.self) { try client.receiveAll() }
        await probe.stop()
    }
}

@Suite struct `The URL of a fault proxy` {
    @Test(arguments: [
        ("postgresql://app@db.test:6000/shop", "postgresql://app@127.0.0.1:PORT/shop"),
        (
            "postgres://a%40b:p%2Fw%3A@127.0.0.1/shop?sslmode=require",
            "postgres://a%40b:p%2Fw%3A@127.0.0.1:PORT/shop?sslmode=require"
        ),
        (
            "postgresql://[::1]:6000?user=app&application_name=a%26b",
            "postgresql://127.0.0.1:PORT?user=app&application_name=a%26b"
        ),
        (
            "postgresql:///shop?host=%2Ftmp&port=6000&options=-c%20a%3Db",
            "postgresql://127.0.0.1:PORT/shop?options=-c%20a%3Db"
        ),
        ("postgresql://app@localhost/shop?hostaddr=127.0.0.1", "postgresql://app@127.0.0.1:PORT/shop"),
        (
            "postgresql://app@localhost/shop?sslmode=verify-full",
            "postgresql://app@localhost:PORT/shop?sslmode=verify-full&hostaddr=127.0.0.1"
        ),
    ])
    func `keeps everything but the host and port`(url: String, expected: String) async throws {
        let reachable = url.replacing("db.test", with: "localhost")
        let proxy = try await FaultProxy.start(to: reachable)
        #expect(proxy.url == expected.replacing("PORT", with: "\(proxy.port)"))
        await proxy.stop()
    }

    @Test(arguments: [
        "host=localhost dbname=shop", "postgresql:///shop", "postgresql://one,two/shop", "postgresql://[::1/shop",
    ])
    func `is refused when no single host can be read from it`(url: String) async {
        await #expect(throws: TestingError.self) { try await FaultProxy.start(to: url) }
    }

    @Test func `never shows a password in an error`() async throws {
        let error = await #expect(throws: TestingError.self) {
            try await FaultProxy.start(to: "postgresql://app:hunter2@one,two/shop")
        }
        #expect(!String(describing: try #require(error)).contains("hunter2"))
    }
}

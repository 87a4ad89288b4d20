#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
import Foundation
import PostgresSessionsTesting
import Testing

/// The smallest conversation with a server: log in as a trusted user and ask one question.
private func ask(_ server: TemporaryPostgres, _ sql: String) throws -> String {
    let peer = try Peer(port: server.port)
    try peer.send(message(nil, [0, 3, 0, 0] + Array("user\0postgres\0\0".utf8)))
    try readUntilReady(peer)
    try peer.send(message("Q", Array("\(sql)\0".utf8)))
    return try readUntilReady(peer)
}

private func message(_ type: Character?, _ body: [UInt8]) -> [UInt8] {
    let length = UInt32(body.count + 4)
    return (type.map { Array(String($0).utf8) } ?? []) + withUnsafeBytes(of: length.bigEndian) { Array($0) } + body
}

/// Returns the first column of the last row before ReadyForQuery.
@discardableResult
private func readUntilReady(_ peer: Peer) throws -> String {
    var value = ""
    while true {
        let head = try peer.receive(5)
        guard head.count == 5 else { throw SocketFailure(number: ECONNRESET) }
        let body = try peer.receive(head[1...].reduce(0) { $0 << 8 | Int($1) } - 4)
        switch Character(UnicodeScalar(head[0])) {
        case "Z": return value
        case "D": value = String(decoding: body[6...], as: UTF8.self)
        case "E": throw SocketFailure(number: EPROTO)
        default: continue
        }
    }
}

/// The first byte of the answer to the question whether the server speaks TLS.
private func answerToTLSRequest(_ server: TemporaryPostgres) throws -> String {
    let peer = try Peer(port: server.port)
    try peer.send([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
    return try peer.receiveText(1)
}

@Suite(.timeLimit(.minutes(15))) struct `A temporary server` {
    @Test func `takes settings, answers, and is gone with its folder after stop`() async throws {
        let server = try await TemporaryPostgres.start(settings: ["max_connections": "17"])
        #expect(try ask(server, "SHOW max_connections") == "17")
        #expect(try answerToTLSRequest(server) == "N")
        #expect(server.url == "postgresql://postgres@127.0.0.1:\(server.port)/postgres")
        let pid = server.pid
        #expect(isAlive(pid))
        await server.stop()
        await server.stop()
        #expect(!isAlive(pid))
        #expect(server.pid == 0)
        #expect(!FileManager.default.fileExists(atPath: folder(of: server)))
        #expect(throws: SocketFailure(number: ECONNREFUSED)) { try Peer(port: server.port) }
        await #expect(throws: TestingError.self) { try await server.startAgain() }
    }

    @Test func `lives beside others that start at the same time`() async throws {
        try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for number in 0..<3 {
                group.addTask {
                    let server = try await TemporaryPostgres.start(settings: ["application_name": "number \(number)"])
                    let name = try ask(server, "SHOW application_name")
                    await server.stop()
                    #expect(name == "number \(number)")
                    return (server.port, server.dataDirectory)
                }
            }
            let servers = try await group.reduce(into: []) { $0.append($1) }
            #expect(Set(servers.map(\.0)).count == 3)
            #expect(Set(servers.map(\.1)).count == 3)
        }
    }

    @Test func `never runs as root`() async throws {
        let server = try await TemporaryPostgres.start()
        let attributes = try FileManager.default.attributesOfItem(atPath: server.dataDirectory + "/PG_VERSION")
        let owner = try #require(attributes[.ownerAccountID] as? NSNumber)
        #expect(owner != 0)
        await server.stop()
    }

    @Test(arguments: [TemporaryPostgres.ShutdownMode.smart, .fast, .immediate])
    func `keeps its port and data over a restart`(mode: TemporaryPostgres.ShutdownMode) async throws {
        let server = try await TemporaryPostgres.start()
        let before = server.pid
        _ = try ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        try await server.restart(mode)
        #expect(server.pid != before)
        #expect(try ask(server, "SELECT answer FROM kept") == "42")
        await server.stop()
    }

    @Test func `says when clients keep it from a smart shutdown`() async throws {
        let server = try await TemporaryPostgres.start()
        let client = try Peer(port: server.port)
        try client.send(message(nil, [0, 3, 0, 0] + Array("user\0postgres\0\0".utf8)))
        try readUntilReady(client)
        let error = await #expect(throws: TestingError.self) {
            try await server.shutDown(.smart, timeout: .milliseconds(200))
        }
        guard case .serverDidNotStop? = error else {
            Issue.record("another error: \(String(describing: error))")
            return
        }
        try await server.shutDown(.fast)
        #expect(throws: SocketFailure(number: ECONNREFUSED)) { try Peer(port: server.port) }
        try await server.startAgain()
        #expect(try ask(server, "SELECT 1") == "1")
        await server.stop()
    }

    @Test func `answers nothing while it is frozen, and goes on when it thaws`() async throws {
        let server = try await TemporaryPostgres.start()
        try await server.freeze()
        let client = try Peer(port: server.port)
        client.wait(atMost: 0.1)
        try client.send([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
        #expect(throws: SocketFailure(number: EAGAIN)) { try client.receive(1) }
        client.wait(atMost: 10)
        try await server.thaw()
        #expect(try client.receiveText(1) == "N")
        try await server.freeze()
        await server.stop()
        #expect(!FileManager.default.fileExists(atPath: folder(of: server)))
    }

    @Test func `offers TLS with a certificate of its own`() async throws {
        let server = try await TemporaryPostgres.start(ssl: true)
        #expect(try answerToTLSRequest(server) == "S")
        #expect(server.url.hasSuffix("?sslmode=require"))
        #expect(FileManager.default.fileExists(atPath: try #require(server.certificateFile)))
        await server.stop()
    }

    @Test func `asks for the password it was given, which its URL holds`() async throws {
        let server = try await TemporaryPostgres.start(password: "p@ss w/rd")
        #expect(server.url == "postgresql://postgres:p%40ss%20w%2Frd@127.0.0.1:\(server.port)/postgres")
        let peer = try Peer(port: server.port)
        try peer.send(message(nil, [0, 3, 0, 0] + Array("user\0postgres\0\0".utf8)))
        let head = try peer.receive(9)
        #expect(head.first == UInt8(ascii: "R"))
        #expect(Array(head.suffix(4)) == [0, 0, 0, 10], "SASL")
        await server.stop()
    }

    @Test func `says what to install when there is no PostgreSQL`() async throws {
        let error = await #expect(throws: TestingError.self) { try await TemporaryPostgres.start(binaries: "/nowhere") }
        #expect(String(describing: try #require(error)).contains("apt-get install postgresql"))
    }

    @Test func `says what its log says when a setting is wrong`() async throws {
        let error = await #expect(throws: TestingError.self) {
            try await TemporaryPostgres.start(settings: ["max_connections": "many"])
        }
        #expect(String(describing: try #require(error)).contains("max_connections"))
    }

    @Test func `leaves neither process nor folder when nobody refers to it any more`() async throws {
        var server: TemporaryPostgres? = try await TemporaryPostgres.start()
        let pid = try #require(server?.pid)
        let path = folder(of: try #require(server))
        server = nil
        #expect(await eventually { !isAlive(pid) && !FileManager.default.fileExists(atPath: path) })
    }

    @Test func `leaves neither process nor folder when the tests are killed`() async throws {
        let result = try await #require(processExitsWith: .signal(SIGKILL), observing: [\.standardOutputContent]) {
            let server = try await TemporaryPostgres.start()
            print("SERVER|\(server.pid)|\(server.dataDirectory)|")
            fflush(nil)
            kill(getpid(), SIGKILL)
            withExtendedLifetime(server) {}
        }
        let output = String(decoding: result.standardOutputContent, as: UTF8.self)
        let fields = output.split(separator: "SERVER|").last.map { $0.split(separator: "|") } ?? []
        let pid = try #require(fields.first.flatMap { Int32($0) })
        let path = String(try #require(fields.dropFirst().first)).replacing("/data", with: "")
        #expect(await eventually { !isAlive(pid) && !FileManager.default.fileExists(atPath: path) })
    }
}

private func folder(of server: TemporaryPostgres) -> String { server.dataDirectory.replacing("/data", with: "") }

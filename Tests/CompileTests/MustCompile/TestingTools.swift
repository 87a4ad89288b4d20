// What a user's tests are written with.

import PostgresSessions
import PostgresSessionsTesting

func testsHaveServersAndFaults() async throws {
    let server = try await TemporaryPostgres.start()
    let small = try await TemporaryPostgres.start(settings: ["max_connections": "20"], ssl: true, password: "secret")
    let proxy = try await FaultProxy.start(to: server.url)
    let engine = try Engine(url: proxy.url)
    proxy.latency = .milliseconds(5)
    proxy.stall()
    proxy.resume()
    proxy.stall(.toClient)
    proxy.resume(.toClient)
    proxy.cut()
    proxy.cut(.reset)
    proxy.cut(afterBytes: 117, .toServer)
    proxy.refuse()
    proxy.accept()
    let before = proxy.flights
    let one = try await engine.query("SELECT 1", as: Int.self).one()
    print(
        one, proxy.flights - before, proxy.connections, proxy.openConnections, proxy.bytesToServer, proxy.bytesToClient)
    try await server.restart(.immediate)
    try await server.shutDown(.smart, timeout: .seconds(5))
    try await server.startAgain()
    try await server.freeze()
    try await server.thaw()
    print(server.host, server.port, server.pid, await server.log(), small.certificateFile ?? "")
    print(small.url(database: "shop", user: "app", parameters: ["sslmode": "disable"]))
    await engine.shutdown()
    await proxy.stop()
    await server.stop()
    await small.stop()
}

func errorsSayWhatIsMissing() async throws {
    do {
        _ = try await TemporaryPostgres.start()
    } catch TestingError.postgresNotFound(let searched) {
        print(searched)
    }
}

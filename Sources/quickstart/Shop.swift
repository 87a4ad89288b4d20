import Foundation
import PostgresSessions

/// The tour's database: items with a stock, and orders. One engine, as an application has one.
struct Shop: Sendable {
    let url: String
    let schema: String
    let version: String
    /// The application's engine: 5 connections, 10 more under load. SQLAlchemy's defaults, and the library's.
    let engine: Engine

    static func open(url: String) async throws -> Shop {
        try await ping(url)
        let schema = "quickstart_\(UUID().uuidString.prefix(8).lowercased())"
        let engine = try makeEngine(url: url, schema: schema, pool: PoolOptions(size: 5, maxOverflow: 10))
        try await engine.execute("CREATE SCHEMA \(identifier: schema)")
        let version = try await engine.withTransaction { session in
            try await session.execute("CREATE TABLE items (id int8 PRIMARY KEY, name text, stock int8)")
            try await session.execute(
                "CREATE TABLE orders (item int8, customer int8, backend int8, transaction text)")
            try await session.execute("INSERT INTO items VALUES (1, 'cup', 1000), (2, 'plate', 1000)")
            return try await session.query("SHOW server_version", as: String.self).one()
        }
        return Shop(url: url, schema: schema, version: version, engine: engine)
    }

    /// A server that cannot be reached is told after seconds: the tour has no reason for a pool's patience.
    private static func ping(_ url: String) async throws {
        let pool = PoolOptions(size: 1, maxOverflow: 0, checkoutTimeout: .seconds(3))
        let engine = try Engine(Engine.Configuration(url: url, pool: pool))
        try await engine.ping()
        await engine.shutdown()
    }

    /// Every session of an engine for this schema finds the tables without a prefix: `locals` are set in the flight that
    /// opens each transaction, and end with it.
    static func makeEngine(url: String, schema: String, pool: PoolOptions) throws -> Engine {
        let locals = ["search_path": schema, "client_min_messages": "warning"]
        return try Engine(Engine.Configuration(url: url, pool: pool, session: SessionOptions(locals: locals)))
    }

    func stock(of item: Int) async throws -> Int {
        try await engine.query("SELECT stock FROM items WHERE id = \(item)", as: Int.self).one()
    }

    func orders() async throws -> Int {
        try await engine.query("SELECT count(*) FROM orders", as: Int.self).one()
    }

    func close() async {
        do {
            try await engine.execute("DROP SCHEMA IF EXISTS \(identifier: schema) CASCADE")
        } catch {
            FileHandle.standardError.write(Data("quickstart: the schema \(schema) is left behind: \(error)\n".utf8))
        }
        await engine.shutdown()
    }
}

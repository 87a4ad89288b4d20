import Foundation
import PostgresSessions
import PostgresSessionsTesting

/// A tour of the library on a live server. Everything printed happens while you watch; what is not as told ends the
/// program with an error.
///
/// Uses `DATABASE_URL`, or libpq's own PG* variables; without either it starts a throw-away server. It works in a schema
/// of its own, which it drops, so that two tours can run side by side on one server.
@main
struct Quickstart {
    static func main() async {
        do {
            let tour = Tour()
            try await run(tour)
            exit(tour.finish())
        } catch {
            FileHandle.standardError.write(Data("quickstart: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ tour: Tour) async throws {
        let environment = ProcessInfo.processInfo.environment
        let names = ["DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGSERVICE"]
        guard !names.contains(where: { environment[$0]?.isEmpty == false }) else {
            return try await visit(tour, url: environment["DATABASE_URL"] ?? "")
        }
        tour.say("DATABASE_URL is not set: starting a throw-away server.")
        let server = try await TemporaryPostgres.start()
        do {
            try await visit(tour, url: server.url)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    private static func visit(_ tour: Tour, url: String) async throws {
        let shop = try await Shop.open(url: url)
        tour.say("Connected to PostgreSQL \(shop.version), working in the schema \(shop.schema).")
        do {
            try await manyRequests(tour, shop)
            try await rollbackBesideCommit(tour, shop)
            try await sharedSession(tour, shop)
            try await healing(tour, shop)
            try await checkoutTimeout(tour, shop)
            try await roundTrips(tour, shop)
        } catch {
            await shop.close()
            throw error
        }
        await shop.close()
        tour.say("\nThe schema is dropped and every connection closed.")
    }
}

import PostgresSessions
import PostgresSessionsTesting
import Synchronization
import Testing

private final class LeakObserver: EngineObserver {
    let origins = Journal<String>()
    func didSuspectLeak(_ connection: ConnectionInfo, origin: String, lastStatement: String?) { origins.append(origin) }
}

@Suite(.timeLimit(.minutes(30))) struct `The report of a connection that is lent for long` {
    private func withObserved(_ body: (Shop, Engine, LeakObserver) async throws -> Void) async throws {
        try await withShop { shop in
            let observer = LeakObserver()
            let pool = PoolOptions(size: 1, maxOverflow: 0, leakDetectionThreshold: .milliseconds(50))
            let engine = try Engine(Engine.Configuration(url: shop.url, pool: pool, observers: [observer]))
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(shop, engine, observer)) } catch { outcome = .failure(error) }
            await engine.shutdown()
            try outcome.get()
        }
    }

    @Test func `names the line of a stream`() async throws {
        try await withObserved { _, engine, observer in
            let line = #line + 1
            for try await _ in engine.query("SELECT i FROM generate_series(1, 9) AS i", as: Int.self).stream() {
                try await eventually("it is told") { !observer.origins.all.isEmpty }
                break
            }
            #expect(observer.origins.all == ["\(#fileID):\(line)"])
        }
    }

    @Test func `names the line of a single statement`() async throws {
        try await withObserved { _, engine, observer in
            try await engine.execute("SELECT pg_sleep(0.3)")
            _ = try await engine.query("SELECT pg_sleep(0.3)").all()
            _ = try await engine.query("SELECT 1 FROM pg_sleep(0.3)", as: Int.self).one()
            _ = try await engine.query("SELECT 1, 'a' FROM pg_sleep(0.3)", as: (Int, String).self).first()
            let line = #line
            #expect(observer.origins.all == (1...4).map { "\(#fileID):\(line - 5 + $0)" })
        }
    }
}

// A session is not a singleton.
// expected: is not concurrency-safe because non-'Sendable' type 'Session'

import PostgresSessions

enum App {
    static let engine = try! Engine(url: "postgresql://localhost/shop")
    static let session = engine.makeSession()
}

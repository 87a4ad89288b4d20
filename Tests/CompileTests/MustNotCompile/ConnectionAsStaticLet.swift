// A connection is not a singleton.
// expected: is not concurrency-safe because non-'Sendable' type 'Connection'

import PostgresSessions

enum App {
    static let connection: Connection = { fatalError("never made") }()
}

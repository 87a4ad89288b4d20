internal import PostgresWire
internal import Synchronization

/// The text of the statement that a borrower has sent last, readable by whoever reports that he keeps the connection for long.
final class LastStatement: Sendable {
    private let utf8 = Mutex<[UInt8]?>(nil)

    func note(_ text: [UInt8]) { utf8.withLock { $0 = text } }

    /// Another borrower's is none of the next one's.
    func forget() { utf8.withLock { $0 = nil } }

    var text: String? { utf8.withLock { $0 }.map { String(decoding: $0, as: UTF8.self) } }
}

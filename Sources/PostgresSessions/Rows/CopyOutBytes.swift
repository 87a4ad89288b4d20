internal import PostgresWire

/// The bytes of a COPY TO STDOUT as they come, in constant memory. Leaving the loop early ends the COPY; the session's
/// transaction goes on.
public struct CopyOutBytes: AsyncSequence {
    let source: any CopySource
    let text: String

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source, text) }

    public final class AsyncIterator: AsyncIteratorProtocol {
        private let source: any CopySource
        private let text: String
        private var isOver = false
        private var hasReadEnd = false
        /// Since when the task's thread was not offered to others.
        private var turn = Monotonic.now

        init(_ source: any CopySource, _ text: String) { (self.source, self.text) = (source, text) }

        deinit { if !isOver { source.endCopyOut(isComplete: false) } }

        public func next() async throws -> [UInt8]? { try await next(isolation: #isolation) }

        public func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
            guard !isOver else { return nil }
            do {
                if let connection = source.copying, !hasReadEnd {
                    let bytes = try await take(from: connection)
                    if !bytes.isEmpty { return bytes }
                }
                isOver = true
                try await source.finishCopyOut(text)
                return nil
            } catch {
                if !isOver { source.endCopyOut(isComplete: false) }
                isOver = true
                throw error
            }
        }

        /// What has arrived; nothing at the end.
        private func take(from connection: PhysicalConnection) async throws -> [UInt8] {
            var bytes: [UInt8] = []
            while true {
                let messages = connection.wire.takeCopyMessages { message in
                    bytes.append(contentsOf: message)
                    return bytes.count < 1 << 16
                }
                switch messages {
                case .taken: return bytes
                case .end:
                    hasReadEnd = true
                    return bytes
                case .pending: if !bytes.isEmpty { return bytes }
                }
                try await connection.waitForCopied(source.copyLimits, &turn)
            }
        }
    }
}

@available(*, unavailable, message: "a COPY belongs to one task")
extension CopyOutBytes.AsyncIterator: Sendable {}

internal import PostgresWire

/// The bytes of a COPY TO STDOUT as they come, in constant memory. Leaving the loop early ends the COPY; the session's
/// transaction goes on.
public struct CopyOutBytes: AsyncSequence {
    let conversation: CopyConversation

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(conversation) }

    public final class AsyncIterator: AsyncIteratorProtocol {
        private let conversation: CopyConversation
        private var hasReadEnd = false
        /// Since when the task's thread was not offered to others.
        private var turn = Monotonic.now

        init(_ conversation: CopyConversation) { self.conversation = conversation }

        public func next() async throws -> [UInt8]? { try await next(isolation: #isolation) }

        public func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
            guard let connection = try conversation.enter() else { return nil }
            do {
                let bytes = hasReadEnd ? [] : try await take(from: connection)
                if !bytes.isEmpty {
                    conversation.pause()
                    return bytes
                }
            } catch {
                conversation.abandon()
                throw error
            }
            try await conversation.finish()
            return nil
        }

        /// What has arrived; nothing at the end.
        private func take(from connection: PhysicalConnection) async throws -> [UInt8] {
            var bytes: [UInt8] = []
            while connection.wantsCopied {
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
                try await connection.waitForCopied(conversation.limits, &turn)
            }
            hasReadEnd = true
            return bytes
        }
    }
}

@available(*, unavailable, message: "a COPY belongs to one task")
extension CopyOutBytes.AsyncIterator: Sendable {}

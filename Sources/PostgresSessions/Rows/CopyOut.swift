internal import PostgresWire

/// The rows of a COPY TO STDOUT as they come, in constant memory. Leaving the loop early ends the COPY; the session's
/// transaction goes on.
public struct CopyOutRows<Element>: AsyncSequence {
    let conversation: CopyConversation
    let decoder: RowDecoder<Element>

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(conversation, decoder) }

    public final class AsyncIterator: AsyncIteratorProtocol {
        @exclusivity(unchecked) @usableFromInline var ready = DecodedRows<Element>()
        private let conversation: CopyConversation
        private let decoder: RowDecoder<Element>
        @exclusivity(unchecked) private var row = 0
        /// The signature, flags and extension that come before the first row.
        @exclusivity(unchecked) private var header = 19
        /// What comes after the rows that are ready: nothing, or why a row could not be decoded.
        @exclusivity(unchecked) private var hasReadEnd = false
        @exclusivity(unchecked) private var failure: EngineError?
        /// Since when the task's thread was not offered to others.
        @exclusivity(unchecked) private var turn = Monotonic.now

        init(_ conversation: CopyConversation, _ decoder: RowDecoder<Element>) {
            (self.conversation, self.decoder) = (conversation, decoder)
        }

        deinit { ready.deallocate() }

        @inlinable
        public func next() async throws -> Element? { try await next(isolation: #isolation) }

        @inlinable
        public func next(isolation actor: isolated (any Actor)?) async throws -> Element? {
            if let row = ready.take() { return row }
            return try await readOn(isolation: actor) ? ready.take() : nil
        }

        /// Decodes rows that have arrived, at least one. False: there are no more.
        @usableFromInline
        func readOn(isolation actor: isolated (any Actor)?) async throws -> Bool {
            guard let connection = try conversation.enter() else { return false }
            do {
                if let failure { throw failure }
                if !hasReadEnd {
                    try await fill(from: connection)
                    if ready.end > 0 {
                        conversation.pause()
                        return true
                    }
                    if let failure { throw failure }
                }
            } catch {
                conversation.abandon()
                throw error
            }
            try await conversation.finish()
            return false
        }

        /// Most messages have arrived with others. Afterwards there is a row, or the end, or a failure.
        private func fill(from connection: PhysicalConnection) async throws {
            ready.removeAll()
            while connection.wantsCopied {
                switch connection.wire.takeCopyMessages({ decode($0) }) {
                case .taken: return
                case .end:
                    hasReadEnd = true
                    return
                case .pending: if ready.end > 0 { return }
                }
                try await connection.waitForCopied(conversation.limits, &turn)
            }
            hasReadEnd = true
        }

        /// Whether there is room for more rows, and need.
        private func decode(_ message: UnsafeRawBufferPointer) -> Bool {
            let bytes = UnsafeRawBufferPointer(rebasing: message.dropFirst(header))
            header = 0
            // The trailer, a count of -1.
            if bytes.count == 2, bytes[0] == 0xFF, bytes[1] == 0xFF { return true }
            do throws(EngineError) {
                try decoder.decode(copied: bytes, row: row, into: ready.vacancy)
            } catch {
                failure = error
                return false
            }
            row += 1
            ready.add(size: bytes.count)
            return !ready.isFull
        }
    }
}

@available(*, unavailable, message: "the rows of a COPY belong to one task")
extension CopyOutRows.AsyncIterator: Sendable {}

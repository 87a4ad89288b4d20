internal import PostgresWire

/// Rows as they come, in constant memory: the next rows are asked for when the last ones have been read.
///
/// Leaving the loop early ends the stream soon, however slow its rows; the session's transaction goes on. While the loop runs, the
/// session can say nothing else: ``EngineError/invalidState(_:)``. On an engine, or a raw connection outside a transaction, the
/// stream has a transaction of its own, which is committed at its end; in that of a raw connection, it has a savepoint. Statements
/// that are no cursor's (INSERT … RETURNING) come whole.
public struct RowStream<Element>: AsyncSequence {
    let runner: StatementRunner
    let query: SQLQuery
    let decoding: RowDecoding<Element>

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(runner: runner, query: query, decoding: decoding)
    }

    public final class AsyncIterator: AsyncIteratorProtocol {
        @exclusivity(unchecked) @usableFromInline var ready = DecodedRows<Element>()
        private let runner: StatementRunner
        private let query: SQLQuery
        private let decoding: RowDecoding<Element>
        private var cursor: (any RowCursor)?
        private var decoder: RowDecoder<Element>?
        private var chunk: WireResult?
        private var row = 0
        private var rowsInChunk = 0
        /// What a row of the chunk takes in memory, on average.
        private var rowSize = 0
        private var isOver = false
        /// Why the row after those that are ready could not be decoded.
        private var failure: EngineError?

        init(runner: StatementRunner, query: SQLQuery, decoding: RowDecoding<Element>) {
            self.runner = runner
            self.query = query
            self.decoding = decoding
        }

        deinit {
            ready.deallocate()
            cursor?.end()
        }

        @inlinable
        public func next() async throws -> Element? { try await next(isolation: #isolation) }

        @inlinable
        public func next(isolation actor: isolated (any Actor)?) async throws -> Element? {
            if let row = ready.take() { return row }
            return try await readOn(isolation: actor) ? ready.take() : nil
        }

        /// Decodes rows, at least one. False: there are no more.
        @usableFromInline
        func readOn(isolation actor: isolated (any Actor)?) async throws -> Bool {
            guard !isOver else { return false }
            ready.removeAll()
            do {
                if failure == nil, row == rowsInChunk, try await !nextChunk() {
                    finish()
                    return false
                }
                decode()
                if ready.end == 0, let failure { throw failure }
                return true
            } catch {
                finish()
                throw error
            }
        }

        /// Decodes rows of the chunk until enough are ready, or one does not fit.
        private func decode() {
            guard failure == nil, let chunk, let decoder else { return }
            while row < rowsInChunk, !ready.isFull {
                do throws(EngineError) {
                    try decoder.decode(chunk, row: row, into: ready.vacancy)
                } catch {
                    failure = error
                    return
                }
                ready.add(size: rowSize)
                row += 1
            }
        }

        private func nextChunk() async throws -> Bool {
            if cursor == nil { cursor = try await runner.openCursor(query) }
            guard let result = try await cursor?.next() else { return false }
            let decoder = try self.decoder ?? decoding.decoder(for: result)
            self.decoder = decoder
            guard result.rowCount > 0 else { return false }
            decoder.rowsBefore += rowsInChunk
            chunk = result
            (row, rowsInChunk) = (0, result.rowCount)
            rowSize = result.memorySize / result.rowCount
            return true
        }

        private func finish() {
            isOver = true
            (chunk, row, rowsInChunk, failure) = (nil, 0, 0, nil)
            cursor?.end()
            cursor = nil
        }
    }
}

@available(*, unavailable, message: "a stream belongs to one task")
extension RowStream.AsyncIterator: Sendable {}

extension RowQuery {
    /// The rows one after another, in constant memory. Nothing is sent before the loop begins.
    public func stream() -> sending RowStream<T> { RowStream(runner: runner, query: query, decoding: decoding) }
}

extension TableQuery {
    /// The rows one after another, in constant memory.
    public func stream() -> sending RowStream<T> { rows.stream() }
}

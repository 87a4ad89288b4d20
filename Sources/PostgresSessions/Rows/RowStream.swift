internal import PostgresWire

/// Rows as they come, in constant memory: the next rows are asked for when the last ones have been read.
///
/// Leaving the loop early ends the stream at once; the session's transaction goes on. While the loop runs, the session can say
/// nothing else: ``EngineError/invalidState(_:)``.
public struct RowStream<Element>: AsyncSequence {
    let runner: StatementRunner
    let query: SQLQuery
    let decoding: RowDecoding<Element>

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(runner: runner, query: query, decoding: decoding)
    }

    public final class AsyncIterator: AsyncIteratorProtocol {
        private let runner: StatementRunner
        private let query: SQLQuery
        private let decoding: RowDecoding<Element>
        private var cursor: (any RowCursor)?
        private var decoder: RowDecoder<Element>?
        private var chunk: WireResult?
        private var row = 0
        private var rowsInChunk = 0
        private var isOver = false

        init(runner: StatementRunner, query: SQLQuery, decoding: RowDecoding<Element>) {
            self.runner = runner
            self.query = query
            self.decoding = decoding
        }

        deinit { cursor?.end() }

        public func next() async throws -> Element? { try await next(isolation: #isolation) }

        public func next(isolation actor: isolated (any Actor)?) async throws -> Element? {
            if row < rowsInChunk, let chunk, let decoder { return try decode(chunk, decoder) }
            guard !isOver else { return nil }
            do {
                return try await nextChunk()
            } catch {
                finish()
                throw error
            }
        }

        private func decode(_ chunk: WireResult, _ decoder: RowDecoder<Element>) throws -> Element {
            defer { row += 1 }
            do throws(EngineError) {
                return try decoder.decode(chunk, row: row)
            } catch {
                finish()
                throw error
            }
        }

        private func nextChunk() async throws -> Element? {
            if cursor == nil { cursor = try await runner.openCursor(query) }
            guard let result = try await cursor?.next(), result.rowCount > 0 else {
                finish()
                return nil
            }
            let decoder = try self.decoder ?? decoding.decoder(for: result)
            decoder.rowsBefore += rowsInChunk
            self.decoder = decoder
            chunk = result
            (row, rowsInChunk) = (0, result.rowCount)
            return try decode(result, decoder)
        }

        private func finish() {
            isOver = true
            (chunk, row, rowsInChunk) = (nil, 0, 0)
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

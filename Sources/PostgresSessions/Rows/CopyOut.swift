internal import PostgresWire

/// The rows of a COPY TO STDOUT as they come, in constant memory. Leaving the loop early ends the COPY; the session's
/// transaction goes on.
public struct CopyOutRows<Element>: AsyncSequence {
    let source: any CopySource
    let text: String
    let decoder: RowDecoder<Element>

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source, text, decoder) }

    public final class AsyncIterator: AsyncIteratorProtocol {
        private let source: any CopySource
        private let text: String
        private let decoder: RowDecoder<Element>
        private var row = 0
        private var isOver = false
        /// The signature, flags and extension that come before the first row.
        private var header = 19
        /// The row of the last message.
        private var decoded: Result<Element, EngineError>?

        init(_ source: any CopySource, _ text: String, _ decoder: RowDecoder<Element>) {
            (self.source, self.text, self.decoder) = (source, text, decoder)
        }

        deinit { if !isOver { source.endCopyOut(isComplete: false) } }

        public func next() async throws -> Element? { try await next(isolation: #isolation) }

        public func next(isolation actor: isolated (any Actor)?) async throws -> Element? {
            guard !isOver else { return nil }
            do {
                if let connection = source.copying {
                    while try await read(connection) {
                        if let element = try decoded.take()?.get() { return element }
                    }
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

        /// Reads a message: most have arrived with others. False: it was the end.
        private func read(_ connection: PhysicalConnection) async throws -> Bool {
            var message = connection.wire.takeCopyMessage { decoded = decode($0) }
            if case .pending = message {
                message = try await connection.nextCopied(source.copyLimits) { decoded = decode($0) }
            }
            if case .taken = message { return true }
            return false
        }

        /// nil for the trailer, a count of -1.
        private func decode(_ bytes: UnsafeRawBufferPointer) -> Result<Element, EngineError>? {
            let body = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(header))
            header = 0
            if body.count == 2, body[0] == 0xFF, body[1] == 0xFF { return nil }
            defer { row += 1 }
            do throws(EngineError) {
                return .success(try decoder.decode(copied: body, row: row))
            } catch {
                return .failure(error)
            }
        }
    }
}

@available(*, unavailable, message: "the rows of a COPY belong to one task")
extension CopyOutRows.AsyncIterator: Sendable {}

/// A session or connection that a COPY holds until its end.
protocol CopySource: AnyObject, Sendable {
    var copying: PhysicalConnection? { get }
    var copyLimits: FlightLimits { get }
    /// All rows were read.
    func finishCopyOut(_ text: String) async throws
    /// No more rows are wanted. Does not wait.
    func endCopyOut(isComplete: Bool)
}

extension SessionCore: CopySource {
    var copying: PhysicalConnection? { lease?.connection }
    var copyLimits: FlightLimits { statementLimits }

    func copyIn(
        _ table: String, _ columns: [String], _ kinds: [CopyEncoder.Kind], in scope: Int?,
        _ fill: (inout CopyEncoder) async throws -> Bool
    ) async throws -> CommandResult {
        try claim(scope)
        defer { unclaim() }
        let connection = try await connectionInTransaction()
        defer { noteTransaction() }
        do {
            return try await connection.copyIn(table, columns, kinds, statementLimits, fill)
        } catch let error as ServerError {
            if let lease { engine.note(error, on: lease, mayWrite: mayWrite) }
            throw error
        }
    }

    /// Holds the claim until the rows have been read or dropped.
    func beginCopyOut(_ query: SQLQuery, in scope: Int?) async throws -> RowColumns {
        try query.validated()
        try claim(scope)
        do {
            let connection = try await connectionInTransaction()
            return try await connection.beginCopyOut(query, statementLimits)
        } catch {
            noteTransaction()
            unclaim()
            throw error
        }
    }

    func finishCopyOut(_ text: String) async throws {
        defer { endCopyOut(isComplete: true) }
        try await lease?.connection.endCopyOut(text, statementLimits)
    }

    func endCopyOut(isComplete: Bool) {
        if isComplete { noteTransaction() }
        unclaim()
    }

    /// COPY cannot ride with BEGIN: a pipeline has no COPY.
    private func connectionInTransaction() async throws -> PhysicalConnection {
        if case .active = transaction, riders.isEmpty {
        } else {
            _ = try await say(Statements("SELECT 1"), thenCommit: false)
        }
        guard let lease else { throw EngineError.connectionLost("the transaction has no connection") }
        return lease.connection
    }

    /// What the protocol says after a conversation that did not go through `say`.
    private func noteTransaction() {
        guard let lease else { return }
        if lease.wire.isBroken { return giveBackBroken() }
        if lease.wire.transactionStatus == .failed { transaction = .failed("25P02") }
    }
}

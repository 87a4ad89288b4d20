internal import PostgresWire

/// The rows of a COPY TO STDOUT as they come, in constant memory. Leaving the loop early ends the COPY; the session's
/// transaction goes on.
public struct CopyOutRows<Element>: AsyncSequence {
    let source: any CopySource
    let text: String
    let decoder: RowDecoder<Element>

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source, text, decoder) }

    public final class AsyncIterator: AsyncIteratorProtocol {
        @exclusivity(unchecked) @usableFromInline var ready = DecodedRows<Element>()
        private let source: any CopySource
        private let text: String
        private let decoder: RowDecoder<Element>
        @exclusivity(unchecked) private var row = 0
        @exclusivity(unchecked) private var isOver = false
        /// The signature, flags and extension that come before the first row.
        @exclusivity(unchecked) private var header = 19
        /// What comes after the rows that are ready: nothing, or why a row could not be decoded.
        @exclusivity(unchecked) private var hasReadEnd = false
        @exclusivity(unchecked) private var failure: EngineError?
        /// Since when the task's thread was not offered to others.
        @exclusivity(unchecked) private var turn = Monotonic.now

        init(_ source: any CopySource, _ text: String, _ decoder: RowDecoder<Element>) {
            (self.source, self.text, self.decoder) = (source, text, decoder)
        }

        deinit {
            ready.deallocate()
            if !isOver { source.endCopyOut(isComplete: false) }
        }

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
            guard !isOver else { return false }
            do {
                if let failure { throw failure }
                if let connection = source.copying, !hasReadEnd {
                    try await fill(from: connection)
                    if ready.end > 0 { return true }
                    if let failure { throw failure }
                }
                isOver = true
                try await source.finishCopyOut(text)
                return false
            } catch {
                if !isOver { source.endCopyOut(isComplete: false) }
                isOver = true
                throw error
            }
        }

        /// Most messages have arrived with others. Afterwards there is a row, or the end, or a failure.
        private func fill(from connection: PhysicalConnection) async throws {
            ready.removeAll()
            while true {
                switch connection.wire.takeCopyMessages({ decode($0) }) {
                case .taken: return
                case .end:
                    hasReadEnd = true
                    return
                case .pending: if ready.end > 0 { return }
                }
                try await connection.waitForCopied(source.copyLimits, &turn)
            }
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
        _ table: String, _ columns: [String], _ source: CopyInSource, in scope: Int?,
        _ fill: (inout CopyEncoder) async throws -> Bool
    ) async throws -> CommandResult {
        try claim(scope)
        defer { unclaim() }
        let connection = try await connectionInTransaction()
        defer { noteTransaction() }
        do {
            return try await connection.copyIn(table, columns, source, statementLimits, fill)
        } catch let error as ServerError {
            if let lease { engine.note(error, on: lease, mayWrite: mayWrite) }
            throw error
        }
    }

    /// Holds the claim until the rows have been read or dropped.
    func beginCopyOut(_ query: SQLQuery, as format: CopyFormat = .binary, in scope: Int?) async throws -> RowColumns {
        try query.validated()
        try claim(scope)
        do {
            let connection = try await connectionInTransaction()
            return try await connection.beginCopyOut(query, format, statementLimits)
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
            var flight = Flight(statement: "SELECT 1")
            _ = try await say(&flight, thenCommit: false)
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

internal import PostgresWire

/// The statements of a batch, taken from their source while those before them are on their way, and the results.
///
/// A flight says as many as a chunk has. Where it may have to be sent again, the chunk is kept until the next one.
final class StatementFeed: @unchecked Sendable {
    // Proof: used only by the task that runs the batch, which holds the session and its connection.
    private let source: () -> SQLQuery?
    @exclusivity(unchecked) private var kept: [SQLQuery] = []
    /// Of what is kept, how many the flight has said.
    @exclusivity(unchecked) private var repeated = 0
    @exclusivity(unchecked) private var keeps = false
    @exclusivity(unchecked) private var count = 0
    @exclusivity(unchecked) private var bytes = 0
    @exclusivity(unchecked) private var resultsBefore = 0
    @exclusivity(unchecked) private(set) var results: [CommandResult] = []
    /// Whether a statement of the batch would commit.
    @exclusivity(unchecked) private(set) var hasTextOfCommit = false
    /// Why the last statement that was asked for cannot be said.
    @exclusivity(unchecked) private(set) var failure: EngineError?

    private static let chunkCount = 4096
    private static let chunkBytes = 4 << 20

    init(_ source: @escaping () -> SQLQuery?) { self.source = source }

    /// The first statement of the next chunk, or nil after the last one.
    func nextChunk(keeping: Bool) throws(EngineError) -> SQLQuery? {
        kept.removeAll(keepingCapacity: true)
        (count, bytes, keeps, resultsBefore) = (0, 0, keeping, results.count)
        // It is the flight's own, which keeps it.
        let first = take()
        if let failure { throw failure }
        return first
    }

    /// A flight sets out with the chunk, for the first time or again.
    func begin() {
        repeated = 0
        results.removeLast(results.count - resultsBefore)
    }

    /// The chunk's next statement, if it has more.
    func next() -> SQLQuery? {
        if repeated < kept.count {
            repeated += 1
            return kept[repeated - 1]
        }
        guard failure == nil, count < Self.chunkCount, bytes < Self.chunkBytes, let statement = take() else {
            return nil
        }
        if keeps {
            kept.append(statement)
            repeated += 1
        }
        return statement
    }

    private func take() -> SQLQuery? {
        guard let statement = source() else { return nil }
        do throws(EngineError) {
            try statement.validated()
        } catch {
            failure = error
            return nil
        }
        if !hasTextOfCommit { hasTextOfCommit = statement.wouldCommit }
        count += 1
        bytes += statement.parameters.bytes.count + statement.utf8.count
        return statement
    }

    func accept(_ result: WireResult) { results.append(CommandResult(result)) }
}

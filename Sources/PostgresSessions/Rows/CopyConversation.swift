internal import PostgresWire

/// A COPY TO STDOUT, which holds its session or raw connection until its last row was read, or nobody wants more of them, or the
/// scope has ended that it was begun in.
final class CopyConversation: @unchecked Sendable {
    // Proof: used by the one task that iterates; `deinit` comes after the last use. Of the source nothing is touched but between
    // `enter` and what ends it.
    let columns: RowColumns
    let text: String
    private let source: any CopySource
    private let hold: Int
    private var isOver = false

    /// By whoever is busy with the source.
    init(_ source: any CopySource, _ hold: Int, _ text: String, _ columns: RowColumns) {
        (self.source, self.hold, self.text, self.columns) = (source, hold, text, columns)
    }

    deinit { drop() }

    var limits: FlightLimits { source.copyLimits }

    /// For the next rows, which end with `pause`, `finish` or `abandon`; nil: there are no more.
    func enter() throws -> PhysicalConnection? {
        guard !isOver else { return nil }
        guard source.resume(hold) else {
            isOver = true
            throw EngineError.sessionClosed
        }
        guard let connection = source.copying else {
            abandon()
            throw EngineError.connectionLost("the connection of a COPY is gone")
        }
        return connection
    }

    func pause() { source.pause(hold) }

    /// Entered. All rows were read.
    func finish() async throws {
        isOver = true
        try await source.finishCopyOut(text)
    }

    /// Entered. No more rows are wanted. Does not wait.
    func abandon() {
        isOver = true
        source.endCopyOut()
    }

    /// As `abandon`, from outside.
    func drop() {
        guard !isOver else { return }
        isOver = true
        if source.resume(hold) { source.endCopyOut() }
    }
}

package import PostgresWire

/// What a statement did, in the server's words.
public struct CommandResult: Hashable, Sendable {
    /// The command tag: `UPDATE 3`, `CREATE TABLE`.
    public let tag: String

    /// How many rows were inserted, updated, deleted, selected or copied; 0 where the command counts none.
    public let rowsAffected: Int

    package init(tag: String, rowsAffected: Int) {
        self.tag = tag
        self.rowsAffected = rowsAffected
    }

    /// Keeps nothing of `result`: most tags fit a String's own bytes, so this allocates nothing.
    package init(_ result: WireResult) {
        self.init(tag: result.commandTag, rowsAffected: result.rowsAffected)
    }
}

extension CommandResult: CustomStringConvertible {
    public var description: String { tag }
}

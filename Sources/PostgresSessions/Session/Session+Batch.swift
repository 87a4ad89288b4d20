internal import PostgresWire

extension Session {
    /// Many statements without rows, in as few flights as their size allows: one round trip for up to 4,096 statements or
    /// 4 MiB of values. The sequence is consumed as it is sent, so a lazy one keeps memory bounded.
    ///
    /// If one is refused, its ``ServerError`` is thrown, with its text in `query`; those after it are not executed, and the
    /// transaction is to be rolled back.
    @discardableResult
    public func execute(batch statements: some Sequence<SQLQuery>) async throws -> [CommandResult] {
        var results: [CommandResult] = []
        var chunk: [SQLQuery] = []
        var bytes = 0
        for statement in statements {
            chunk.append(statement)
            bytes += statement.parameters.bytes.count + statement.utf8.count
            guard chunk.count >= Self.batchCount || bytes >= Self.batchBytes else { continue }
            try await send(chunk, &results)
            chunk.removeAll(keepingCapacity: true)
            bytes = 0
        }
        if !chunk.isEmpty { try await send(chunk, &results) }
        return results
    }

    private func send(_ chunk: [SQLQuery], _ results: inout [CommandResult]) async throws {
        for result in try await core.run(all: chunk, in: scope) { results.append(CommandResult(result)) }
    }

    private static var batchCount: Int { 4096 }
    private static var batchBytes: Int { 4 << 20 }
}

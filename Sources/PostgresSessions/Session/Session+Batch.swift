extension Session {
    /// Many statements without rows, in as few flights as their size allows: one round trip for up to 4,096 statements or
    /// 4 MiB of values. The sequence is consumed as it is sent, so a lazy one keeps memory bounded, and the server works while
    /// the next statements are made.
    ///
    /// If one is refused, its ``ServerError`` is thrown, with its text in `query`; those after it are not executed, and the
    /// transaction is to be rolled back.
    @discardableResult
    @inlinable
    public func execute(batch statements: some Sequence<SQLQuery>) async throws -> [CommandResult] {
        // In the caller's module, where the sequence's type is known: its iteration costs as much as a statement otherwise.
        var iterator = statements.makeIterator()
        return try await execute(from: { iterator.next() })
    }

    @usableFromInline
    func execute(from source: @escaping () -> SQLQuery?) async throws -> [CommandResult] {
        let feed = StatementFeed(source)
        while let first = try feed.nextChunk(keeping: core.mayOpenAgain) {
            try await core.run(first, feed, in: scope)
            if let failure = feed.failure { throw failure }
        }
        return feed.results
    }
}

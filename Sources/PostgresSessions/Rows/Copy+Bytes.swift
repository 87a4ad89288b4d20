internal import PostgresWire

// COPY in the form of files. Two receivers, one vocabulary; see RowQuery+Receivers.swift.

extension Session {
    /// Copies bytes into a table that are text, CSV or binary already: pieces of a file, cut anywhere. The columns default to
    /// all that take values. Pieces are taken as they can be sent, so memory stays bounded.
    ///
    /// Returns how many rows were written. Where one is refused, nothing is copied, and the ``ServerError`` names its line.
    @discardableResult
    public func copyIn<Pieces: Sequence>(
        _ table: String, columns: [String] = [], format: CopyFormat, bytes: Pieces
    ) async throws -> Int where Pieces.Element: Sequence<UInt8> {
        var pieces = bytes.makeIterator()
        return try await core.copyIn(table, columns, .bytes(format), in: scope) { encoder in
            try encoder.fill(from: &pieces)
        }.rowsAffected
    }

    /// As the other `copyIn`, from a sequence that is asked for more only when the server has taken what it had.
    @discardableResult
    public func copyIn<Pieces: AsyncSequence>(
        _ table: String, columns: [String] = [], format: CopyFormat, bytes: Pieces
    ) async throws -> Int where Pieces.Element: Sequence<UInt8> {
        var pieces = bytes.makeAsyncIterator()
        return try await core.copyIn(table, columns, .bytes(format), in: scope) { encoder in
            try await encoder.fill(from: &pieces)
        }.rowsAffected
    }

    /// The rows of a query as text, CSV or binary, in constant memory: whole lines, about 64 KiB of them at a time.
    public func copyOut(_ query: SQLQuery, format: CopyFormat) async throws -> sending CopyOutBytes {
        CopyOutBytes(conversation: try await core.beginCopyOut(query, as: format, in: scope))
    }
}

extension Connection {
    /// Copies bytes into a table that are text, CSV or binary already: pieces of a file, cut anywhere. The columns default to
    /// all that take values. Pieces are taken as they can be sent, so memory stays bounded.
    ///
    /// Returns how many rows were written. Where one is refused, nothing is copied, and the ``ServerError`` names its line.
    @discardableResult
    public func copyIn<Pieces: Sequence>(
        _ table: String, columns: [String] = [], format: CopyFormat, bytes: Pieces
    ) async throws -> Int where Pieces.Element: Sequence<UInt8> {
        var pieces = bytes.makeIterator()
        return try await core.copyIn(table, columns, .bytes(format)) { encoder in
            try encoder.fill(from: &pieces)
        }.rowsAffected
    }

    /// As the other `copyIn`, from a sequence that is asked for more only when the server has taken what it had.
    @discardableResult
    public func copyIn<Pieces: AsyncSequence>(
        _ table: String, columns: [String] = [], format: CopyFormat, bytes: Pieces
    ) async throws -> Int where Pieces.Element: Sequence<UInt8> {
        var pieces = bytes.makeAsyncIterator()
        return try await core.copyIn(table, columns, .bytes(format)) { encoder in
            try await encoder.fill(from: &pieces)
        }.rowsAffected
    }

    /// The rows of a query as text, CSV or binary, in constant memory: whole lines, about 64 KiB of them at a time.
    public func copyOut(_ query: SQLQuery, format: CopyFormat) async throws -> sending CopyOutBytes {
        CopyOutBytes(conversation: try await core.beginCopyOut(query, as: format))
    }
}

extension CopyEncoder {
    /// Takes pieces until there is enough for one write. False: there are no more.
    fileprivate mutating func fill<Pieces: IteratorProtocol>(from pieces: inout Pieces) throws -> Bool
    where Pieces.Element: Sequence<UInt8> {
        while !isFull {
            guard let piece = pieces.next() else { return false }
            try append(piece)
        }
        return true
    }

    /// As above.
    fileprivate mutating func fill<Pieces: AsyncIteratorProtocol>(from pieces: inout Pieces) async throws -> Bool
    where Pieces.Element: Sequence<UInt8> {
        while !isFull {
            guard let piece = try await pieces.next(isolation: #isolation) else { return false }
            try append(piece)
        }
        return true
    }
}

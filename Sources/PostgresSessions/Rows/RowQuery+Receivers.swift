// A tuple has two elements or more: with a pack of any length, the compiler confuses it with a scalar in longer expressions. With any
// pack it does, where a tuple's element becomes an optional or an Any; so pairs and triples have words of their own.
// Three receivers, one vocabulary: a generic over them would need a public protocol that means nothing to users.

extension Session {
    /// Rows as they are, read by name or index.
    public func query(_ query: consuming SQLQuery) -> RowQuery<ResultRow> {
        RowQuery(runner: runner, query: query, decoding: .row)
    }

    /// Rows of one column.
    public func query<T: SQLDecodable>(_ query: consuming SQLQuery, as type: T.Type) -> RowQuery<T> {
        RowQuery(runner: runner, query: query, decoding: .scalar)
    }

    /// Rows as tuples, column by column.
    public func query<A: SQLDecodable, B: SQLDecodable>(
        _ query: consuming SQLQuery, as type: (A, B).Type
    ) -> RowQuery<(A, B)> {
        RowQuery(runner: runner, query: query, decoding: .tuple())
    }

    /// Rows as tuples, column by column.
    public func query<A: SQLDecodable, B: SQLDecodable, C: SQLDecodable>(
        _ query: consuming SQLQuery, as type: (A, B, C).Type
    ) -> RowQuery<(A, B, C)> {
        RowQuery(runner: runner, query: query, decoding: .tuple())
    }

    /// Rows as tuples, column by column.
    public func query<A: SQLDecodable, B: SQLDecodable, each T: SQLDecodable>(
        _ query: consuming SQLQuery, as type: (A, B, repeat each T).Type
    ) -> RowQuery<(A, B, repeat each T)> {
        RowQuery(runner: runner, query: query, decoding: .tuple())
    }

    /// Rows as any `Decodable`, by column name; `created_at` also fills `createdAt`.
    @_disfavoredOverload
    public func query<T: Decodable>(_ query: consuming SQLQuery, as type: T.Type) -> RowQuery<T> {
        RowQuery(runner: runner, query: query, decoding: .decodable)
    }
}

extension Connection {
    /// Rows as they are, read by name or index.
    public func query(_ query: consuming SQLQuery) -> RowQuery<ResultRow> {
        RowQuery(runner: .connection(core), query: query, decoding: .row)
    }

    /// Rows of one column.
    public func query<T: SQLDecodable>(_ query: consuming SQLQuery, as type: T.Type) -> RowQuery<T> {
        RowQuery(runner: .connection(core), query: query, decoding: .scalar)
    }

    /// Rows as tuples, column by column.
    public func query<A: SQLDecodable, B: SQLDecodable>(
        _ query: consuming SQLQuery, as type: (A, B).Type
    ) -> RowQuery<(A, B)> {
        RowQuery(runner: .connection(core), query: query, decoding: .tuple())
    }

    /// Rows as tuples, column by column.
    public func query<A: SQLDecodable, B: SQLDecodable, C: SQLDecodable>(
        _ query: consuming SQLQuery, as type: (A, B, C).Type
    ) -> RowQuery<(A, B, C)> {
        RowQuery(runner: .connection(core), query: query, decoding: .tuple())
    }

    /// Rows as tuples, column by column.
    public func query<A: SQLDecodable, B: SQLDecodable, each T: SQLDecodable>(
        _ query: consuming SQLQuery, as type: (A, B, repeat each T).Type
    ) -> RowQuery<(A, B, repeat each T)> {
        RowQuery(runner: .connection(core), query: query, decoding: .tuple())
    }

    /// Rows as any `Decodable`, by column name; `created_at` also fills `createdAt`.
    @_disfavoredOverload
    public func query<T: Decodable>(_ query: consuming SQLQuery, as type: T.Type) -> RowQuery<T> {
        RowQuery(runner: .connection(core), query: query, decoding: .decodable)
    }
}

extension Engine {
    /// Rows as they are, read by name or index.
    public func query(
        _ query: consuming SQLQuery, file: StaticString = #fileID, line: UInt = #line
    ) -> RowQuery<ResultRow> {
        RowQuery(runner: .engine(self, Origin(file: file, line: line)), query: query, decoding: .row)
    }

    /// Rows of one column.
    public func query<T: SQLDecodable>(
        _ query: consuming SQLQuery, as type: T.Type, file: StaticString = #fileID, line: UInt = #line
    ) -> RowQuery<T> {
        RowQuery(runner: .engine(self, Origin(file: file, line: line)), query: query, decoding: .scalar)
    }

    /// Rows as tuples, column by column.
    public func query<A: SQLDecodable, B: SQLDecodable>(
        _ query: consuming SQLQuery, as type: (A, B).Type, file: StaticString = #fileID, line: UInt = #line
    ) -> RowQuery<(A, B)> {
        RowQuery(runner: .engine(self, Origin(file: file, line: line)), query: query, decoding: .tuple())
    }

    /// Rows as tuples, column by column.
    public func query<A: SQLDecodable, B: SQLDecodable, C: SQLDecodable>(
        _ query: consuming SQLQuery, as type: (A, B, C).Type, file: StaticString = #fileID, line: UInt = #line
    ) -> RowQuery<(A, B, C)> {
        RowQuery(runner: .engine(self, Origin(file: file, line: line)), query: query, decoding: .tuple())
    }

    /// Rows as tuples, column by column.
    public func query<A: SQLDecodable, B: SQLDecodable, each T: SQLDecodable>(
        _ query: consuming SQLQuery, as type: (A, B, repeat each T).Type, file: StaticString = #fileID,
        line: UInt = #line
    ) -> RowQuery<(A, B, repeat each T)> {
        RowQuery(runner: .engine(self, Origin(file: file, line: line)), query: query, decoding: .tuple())
    }

    /// Rows as any `Decodable`, by column name; `created_at` also fills `createdAt`.
    @_disfavoredOverload
    public func query<T: Decodable>(
        _ query: consuming SQLQuery, as type: T.Type, file: StaticString = #fileID, line: UInt = #line
    ) -> RowQuery<T> {
        RowQuery(runner: .engine(self, Origin(file: file, line: line)), query: query, decoding: .decodable)
    }
}

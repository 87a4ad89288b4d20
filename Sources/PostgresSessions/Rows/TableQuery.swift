internal import PostgresWire

/// The rows of one table: `session.query(Item.self).where("price < \(10)").order(by: "name").limit(20)`.
///
/// Each step returns a new query; nothing is sent before a terminal is called. Text and bindings stay one value all the way.
public struct TableQuery<T: Table> {
    let runner: StatementRunner
    private var sql = TableSQL<T>()

    init(runner: StatementRunner) { self.runner = runner }

    private func with(_ change: (inout TableSQL<T>) -> Void) -> Self {
        var copy = self
        change(&copy.sql)
        return copy
    }

    // MARK: Building

    /// Only rows for which the condition holds too; several are joined by AND.
    public func `where`(_ condition: SQLQuery) -> Self { with { $0.filter(condition) } }

    /// In this order: `"name"`, `"price DESC, id"`. Further orders come after it.
    public func order(by ordering: SQLQuery) -> Self { with { $0.order(by: ordering) } }

    /// At most so many rows.
    public func limit(_ count: Int) -> Self { with { $0.limit(count) } }

    /// Without the first so many rows.
    public func offset(_ count: Int) -> Self { with { $0.offset(count) } }

    /// Locks the rows until the transaction ends. Rows that somebody else has locked are waited for, or skipped.
    public func forUpdate(skipLocked: Bool = false) -> Self { with { $0.lock(skipLocked ? .skipLocked : .wait) } }

    // MARK: Terminals

    /// The same rows as a query that knows no table any more.
    var rows: RowQuery<T> { RowQuery(runner: runner, query: sql.select, decoding: .decodable) }

    /// Every row. One round trip, as all terminals.
    public func all() async throws -> sending [T] { try await rows.all() }

    /// The first row, or nil; LIMIT 1 is added.
    public func first() async throws -> sending T? { try await limit(1).rows.first() }

    /// The only row. Throws ``EngineError/unexpectedRowCount(_:)`` unless there is exactly one.
    public func one() async throws -> sending T { try await rows.one() }

    /// The only row, or nil. Throws ``EngineError/unexpectedRowCount(_:)`` when there are more.
    public func oneOrNil() async throws -> sending T? { try await rows.oneOrNil() }

    func get<ID: SQLEncodable>(id: ID) async throws -> sending T? {
        try await RowQuery<T>(runner: runner, query: TableSQL<T>.get(id: id), decoding: .decodable).oneOrNil()
    }

    /// How many rows there are.
    public func count() async throws -> Int {
        try await RowQuery<Int>(runner: runner, query: sql.count, decoding: .scalar).one()
    }

    /// Whether there is any row.
    public func exists() async throws -> Bool {
        try await RowQuery<Bool>(runner: runner, query: sql.exists, decoding: .scalar).one()
    }
}

/// A query whose rows have a type: what ``Session/pipeline(_:)`` takes several of.
public protocol TypedQuery<Row> {
    associatedtype Row
    /// The same rows, as text with bindings.
    var asRowQuery: RowQuery<Row> { get }
}

extension RowQuery: TypedQuery {
    public var asRowQuery: RowQuery<T> { self }
}

extension TableQuery: TypedQuery {
    public var asRowQuery: RowQuery<T> { rows }
}

extension Engine {
    /// The rows of a table, read by a statement of their own.
    public func query<T: Table>(
        _ table: T.Type, file: StaticString = #fileID, line: UInt = #line
    ) -> TableQuery<T> {
        TableQuery(runner: .engine(self, Origin(file: file, line: line)))
    }

    /// The row with this primary key, or nil.
    public func get<T: Table, ID: SQLEncodable>(
        _ table: T.Type, id: ID, file: StaticString = #fileID, line: UInt = #line
    ) async throws -> sending T? {
        try await query(table, file: file, line: line).get(id: id)
    }
}

extension Connection {
    /// The rows of a table.
    public func query<T: Table>(_ table: T.Type) -> TableQuery<T> { TableQuery(runner: .connection(core)) }

    /// The row with this primary key, or nil.
    public func get<T: Table, ID: SQLEncodable>(_ table: T.Type, id: ID) async throws -> sending T? {
        try await query(table).get(id: id)
    }
}

extension Session {
    /// The rows of a table.
    public func query<T: Table>(_ table: T.Type) -> TableQuery<T> { TableQuery(runner: runner) }

    /// The row with this primary key, or nil.
    public func get<T: Table, ID: SQLEncodable>(_ table: T.Type, id: ID) async throws -> sending T? {
        try await query(table).get(id: id)
    }

    /// Inserts the row, and returns it as it was stored. A primary key that is nil is left to its default; any other nil is NULL, and
    /// what the server shall fill stands in ``Table/generatedColumns``.
    @discardableResult
    public func insert<T: Table>(_ row: T) async throws -> sending T {
        try await RowQuery<T>(runner: runner, query: TableSQL.insert(row), decoding: .decodable).one()
    }

    /// Inserts the row, or replaces the one with the same primary key; returns it as it was stored.
    @discardableResult
    public func upsert<T: Table>(_ row: T) async throws -> sending T {
        try await RowQuery<T>(runner: runner, query: TableSQL.upsert(row), decoding: .decodable).one()
    }

    /// Sets every column of the row with the same primary key; `rowsAffected` is 0 where there is none.
    @discardableResult
    public func update<T: Table>(_ row: T) async throws -> CommandResult { try await execute(TableSQL.update(row)) }

    /// Deletes the row with the same primary key; `rowsAffected` is 0 where there is none.
    @discardableResult
    public func delete<T: Table>(_ row: T) async throws -> CommandResult { try await execute(TableSQL.delete(row)) }

    /// Several queries in one round trip: `let (items, counts) = try await session.pipeline(q1, q2)`.
    ///
    /// If one is refused, its ``ServerError`` is thrown, with its text in `query`, and those after it are not executed.
    public func pipeline<each Q: TypedQuery>(_ queries: repeat each Q) async throws -> sending (repeat [(each Q).Row]) {
        var texts: [SQLQuery] = []
        repeat texts.append((each queries).asRowQuery.query)
        let results = try await core.run(all: texts, in: scope)
        var index = -1
        func next<Row>(_ query: RowQuery<Row>) throws -> [Row] {
            index += 1
            return try query.decoding.rows(of: results[index])
        }
        return (repeat try next((each queries).asRowQuery))
    }
}

/// The statements of table queries, as text and bindings. Pure: nothing here knows of a session.
///
/// A value of this type is a SELECT under construction; the statements that need no conditions are static.
package struct TableSQL<T: Table>: Sendable {
    /// What FOR UPDATE does about rows that somebody else has locked.
    package enum Lock: Sendable {
        case wait, skipLocked, noWait
    }

    private var conditions: [SQLQuery] = []
    private var orderings: [SQLQuery] = []
    private var limit: Int?
    private var offset: Int?
    private var lock: Lock?

    package init() {}

    // MARK: - Building

    /// Only rows for which this holds too.
    package mutating func filter(_ condition: SQLQuery) { conditions.append(condition.closed) }
    /// Order by this, after what was ordered by before.
    package mutating func order(by ordering: SQLQuery) { orderings.append(ordering.closed) }
    package mutating func limit(_ count: Int?) { limit = count }
    package mutating func offset(_ count: Int?) { offset = count }
    package mutating func lock(_ lock: Lock?) { self.lock = lock }

    // MARK: - Reading

    /// `SELECT id, name FROM items WHERE … ORDER BY … LIMIT … OFFSET … FOR UPDATE`
    package var select: SQLQuery {
        var query: SQLQuery = "SELECT \(Self.columns) FROM \(Self.table)"
        appendConditions(to: &query)
        if !orderings.isEmpty { query.append(" ORDER BY \(orderings.joined(separator: ", "))") }
        appendBounds(to: &query)
        switch lock {
        case .none: break
        case .wait: query.append(" FOR UPDATE")
        case .skipLocked: query.append(" FOR UPDATE SKIP LOCKED")
        case .noWait: query.append(" FOR UPDATE NOWAIT")
        }
        return query
    }

    /// How many rows ``select`` would give.
    package var count: SQLQuery {
        guard limit != nil || offset != nil else {
            var query: SQLQuery = "SELECT count(*) FROM \(Self.table)"
            appendConditions(to: &query)
            return query
        }
        return "SELECT count(*) FROM (\(rows)) AS counted"
    }

    /// Whether ``select`` would give any row.
    package var exists: SQLQuery { "SELECT EXISTS (\(rows))" }

    private var rows: SQLQuery {
        var query: SQLQuery = "SELECT 1 FROM \(Self.table)"
        appendConditions(to: &query)
        appendBounds(to: &query)
        return query
    }

    private func appendConditions(to query: inout SQLQuery) {
        guard let first = conditions.first else { return }
        query.append(" WHERE ")
        if conditions.count == 1 { return query.append(first) }
        query.append(conditions.map { "(\($0))" }.joined(separator: " AND "))
    }

    /// Bounds are bound, not written: every page is the same prepared statement.
    private func appendBounds(to query: inout SQLQuery) {
        if let limit { query.append(" LIMIT \(limit)") }
        if let offset { query.append(" OFFSET \(offset)") }
    }

    /// The row with this primary key.
    package static func get<ID: SQLEncodable>(id: ID) -> SQLQuery {
        var query: SQLQuery = "SELECT \(columns) FROM \(table) WHERE \(key) = \(id)"
        if T.primaryKey.count != 1 {
            query.refuse(
                "\(T.self)'s primary key: get(_:id:) needs a key of one column, it has \(T.primaryKey.count); say query(_:).where(…)"
            )
        }
        return query
    }

    // MARK: - Writing

    /// `INSERT … RETURNING …`: one row comes back, as it is stored. A primary key that is nil is left to its default.
    package static func insert(_ row: T) -> SQLQuery {
        var query = insertion(of: TableRow(row))
        query.append(" RETURNING \(columns)")
        return query
    }

    /// Inserts the row, or replaces the one with the same primary key. One row comes back, as it is stored.
    package static func upsert(_ row: T) -> SQLQuery {
        let row = TableRow(row)
        var query = insertion(of: row)
        let others = row.changing
        let keys = T.primaryKey.map { name($0) }.joined(separator: ", ")
        let changes = others.map { "\(name($0.column)) = EXCLUDED.\(name($0.column))" as SQLQuery }.joined(
            separator: ", ")
        if T.primaryKey.isEmpty { query.refuse(keyless) }
        query.append(" ON CONFLICT (\(keys)) DO UPDATE SET \(changes) RETURNING \(columns)")
        return query
    }

    /// Sets every column of the row with the same primary key.
    package static func update(_ row: T) -> SQLQuery {
        let row = TableRow(row)
        let changes = row.changing.map { "\(name($0.column)) = \($0.value)" as SQLQuery }.joined(separator: ", ")
        return "UPDATE \(table) SET \(changes) WHERE \(identity(of: row))"
    }

    /// Deletes the row with the same primary key.
    package static func delete(_ row: T) -> SQLQuery { "DELETE FROM \(table) WHERE \(identity(of: TableRow(row)))" }

    private static func insertion(of row: TableRow<T>) -> SQLQuery {
        var query: SQLQuery = "INSERT INTO \(table)"
        if let reason = row.refusal { query.refuse(reason) }
        let fields = row.fields.filter { !($0.isKey && $0.isNull) }
        if fields.isEmpty {
            query.append(" DEFAULT VALUES")
        } else {
            let names = fields.map { name($0.column) }.joined(separator: ", ")
            query.append(" (\(names)) VALUES (\(fields.map(\.value).joined(separator: ", ")))")
        }
        return query
    }

    /// `id = $1`, for each column of the primary key.
    private static func identity(of row: TableRow<T>) -> SQLQuery {
        var query = T.primaryKey.compactMap { key in
            row.fields.first { $0.column == key && !$0.isNull }.map { "\(name(key)) = \($0.value)" as SQLQuery }
        }.joined(separator: " AND ")
        let found = row.fields.count { $0.isKey && !$0.isNull }
        if found != T.primaryKey.count || found == 0 {
            query.refuse(
                T.primaryKey.isEmpty
                    ? keyless
                    : "\(T.self): the row has no value for its primary key (\(T.primaryKey.joined(separator: ", ")))")
        }
        if let reason = row.refusal { query.refuse(reason) }
        return query
    }

    // MARK: - Names

    package static var table: SQLQuery {
        trusted { () throws(SQLValueError) in try SQLIdentifier.qualified(T.tableName) }
    }

    /// The columns of `T`, or `*` where they cannot be found out without a row.
    package static var columns: SQLQuery {
        guard let names = TableColumns.of(T.self) else { return "*" }
        return names.map { name($0) }.joined(separator: ", ")
    }

    private static var keyless: String { "\(T.self): it names no primary key" }

    private static var key: SQLQuery { T.primaryKey.first.map { name($0) } ?? "" }

    private static func name(_ column: String) -> SQLQuery {
        trusted { () throws(SQLValueError) in try SQLIdentifier.quotedWhereNeeded(column) }
    }

    private static func trusted(_ name: () throws(SQLValueError) -> String) -> SQLQuery {
        do throws(SQLValueError) {
            return SQLQuery(unsafeRaw: try name())
        } catch {
            var query = SQLQuery()
            query.refuse("\(T.self): \(error.reason)")
            return query
        }
    }
}

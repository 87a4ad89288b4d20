/// A struct whose values are the rows of one table: what `session.query(Item.self)` asks for.
///
/// ```swift
/// struct Item: Codable, Table { static let tableName = "items"; var id: Int; var name: String; var price: Double }
/// ```
///
/// The columns are the coding keys in snake_case: `createdAt` is `created_at`.
public protocol Table: Codable {
    /// The table's name; a dot divides schema and table: `"shop.items"`.
    static var tableName: String { get }

    /// The columns of the primary key, by their names in the table. `["id"]` by default.
    static var primaryKey: [String] { get }

    /// The columns besides the primary key that the server fills (generated ones, a `created_at` with a default), by their names in
    /// the table: they are read, and never written. None by default. A value for one of them goes in by a statement of your own.
    static var generatedColumns: [String] { get }

    /// The column of a coding key. Its snake_case by default; return the key itself where columns are named like that.
    static func columnName(forKey key: String) -> String
}

extension Table {
    public static var primaryKey: [String] { ["id"] }
    public static var generatedColumns: [String] { [] }
    public static func columnName(forKey key: String) -> String { ColumnName.snakeCase(key) }
}

package import PostgresWire

/// The columns of one result, shared by all of its rows: names, types, and which name stands where.
package final class RowColumns: Sendable {
    package let names: [String]
    package let types: [SQLType]
    package let isBinary: [Bool]
    /// What is known of the types that are the database's own.
    let catalog: TypeCatalog?
    /// Those among the columns' types.
    let foreignTypes: [SQLType]
    /// Whether a column's values name types of their own.
    let namesItsParts: Bool

    package init(names: [String], types: [SQLType], isBinary: [Bool], knowing catalog: TypeCatalog? = nil) {
        precondition(names.count == types.count && names.count == isBinary.count)
        self.names = names
        self.types = types
        self.isBinary = isBinary
        self.catalog = catalog
        foreignTypes = types.filter(\.isOfDatabase)
        namesItsParts = types.contains(where: \.namesItsParts)
    }

    /// Whether decoding takes more than the columns' types.
    var isForeign: Bool { namesItsParts || !foreignTypes.isEmpty }

    /// Whether everything that it takes is known.
    var isKnown: Bool { !namesItsParts && (foreignTypes.isEmpty || catalog?.knows(foreignTypes) == true) }

    /// How a column's cells are to be read. Valid as long as this object lives.
    func kind(of column: Int) -> (type: SQLType, form: SQLCellForm) {
        let type = types[column]
        return (
            type.isOfDatabase ? catalog?.canonical(type) ?? type : type,
            SQLCellForm(isBinary: isBinary[column], catalog)
        )
    }

    /// A column's type in words.
    func typeName(of column: Int) -> String { catalog?.name(of: types[column]) ?? types[column].description }

    /// Cells come in the result's form, where no other is named.
    package convenience init(of result: WireResult, knowing catalog: TypeCatalog? = nil, isBinary: Bool? = nil) {
        let columns = 0..<result.columnCount
        self.init(
            names: columns.map { result.columnName($0) },
            types: columns.map { SQLType(rawValue: result.columnOID($0)) },
            isBinary: columns.map { isBinary ?? result.columnIsBinary($0) }, knowing: catalog)
    }

    package var count: Int { names.count }

    /// The first column of exactly this name.
    package func index(of name: String) -> Int? { names.firstIndex(of: name) }

    /// The column that a coding key means: of exactly its name, else its name in snake_case (`createdAt`, `created_at`),
    /// else the only one that differs in capitals and underscores alone (`userID`, `user_id`).
    package func index(forKey key: String) -> Int? {
        if let exact = index(of: key) { return exact }
        let snake = ColumnName.snakeCase(key)
        if let index = index(of: snake) { return index }
        let plain = ColumnName.folded(key)
        let candidates = names.indices.filter { ColumnName.folded(names[$0]) == plain }
        return candidates.count == 1 ? candidates[0] : nil
    }

    /// `2 columns (id, name)`
    var description: String {
        "\(count) column\(count == 1 ? "" : "s")" + (count == 0 ? "" : " (\(names.joined(separator: ", ")))")
    }
}

package enum ColumnName {
    /// `createdAt` → `created_at`, `userID` → `user_id`, `htmlURLText` → `html_url_text`.
    package static func snakeCase(_ key: String) -> String {
        let letters = Array(key)
        var snake = ""
        for (index, letter) in letters.enumerated() {
            if letter.isUppercase, index > 0, letters[index - 1] != "_" {
                let endsWord = !letters[index - 1].isUppercase
                let beginsWord = index + 1 < letters.count && letters[index + 1].isLowercase
                if endsWord || beginsWord { snake += "_" }
            }
            snake += letter.lowercased()
        }
        return snake
    }

    static func folded(_ name: String) -> String { name.filter { $0 != "_" }.lowercased() }
}

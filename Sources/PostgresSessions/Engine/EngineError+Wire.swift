internal import PostgresWire

extension EngineError {
    /// The wire's words for a connection that is gone.
    init(_ error: WireError) {
        switch error {
        case .lost(let message, let fatal):
            guard let fatal else { self = .connectionLost(message); return }
            self = .connectionLost("\(fatal.severity) \(fatal.sqlState): \(fatal.message)")
        case .timedOut(let what): self = .connectionLost(what)
        case .refused(let message): self = .encoding(message)
        }
    }
}

extension ServerError {
    init(_ error: WireServerError, query: String?) {
        self.init(
            sqlState: SQLState(error.sqlState), severity: error.severity, message: error.message, detail: error.detail,
            hint: error.hint, constraint: error.constraint, table: error.table, column: error.column,
            schema: error.schema, dataType: error.dataType, context: error.context, position: error.position,
            query: query)
    }
}

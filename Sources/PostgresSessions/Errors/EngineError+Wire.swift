internal import PostgresWire

extension EngineError {
    /// The wire's words for a connection that is gone.
    init(_ error: WireError) {
        switch error {
        case .lost(let message, let fatal):
            guard let fatal else { self = .connectionLost(message); return }
            self = .connectionLost("\(fatal.severity) \(fatal.sqlState): \(fatal.message)")
        case .shutDown: self = .shutDown
        case .timedOut(let what): self = .connectionLost(what)
        case .refused(let message): self = .encoding(message)
        }
    }
}

extension WireError {
    /// What the caller of a statement shall see of a connection that is gone.
    func surfaced(hasTimeout: Bool) -> any Error {
        if Task.isCancelled { return CancellationError() }
        let error = EngineError(self)
        if case .timedOut = self, hasTimeout { return EngineError.statementTimedOut("\(error)") }
        return error
    }
}

extension ServerError {
    init(_ error: WireServerError, query: String?, shift: Int = 0, isStale: Bool = false) {
        self.init(
            sqlState: SQLState(error.sqlState), severity: error.severity, message: error.message, detail: error.detail,
            hint: error.hint, constraint: error.constraint, table: error.table, column: error.column,
            schema: error.schema, dataType: error.dataType, context: error.context,
            position: error.position.map { $0 + shift },
            query: query, isStaleStatement: isStale, lacksBinaryForm: error.lacksBinaryForm)
    }
}

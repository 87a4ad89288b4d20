internal import PostgresWire

/// COPY conversations. Whoever holds the connection looks at its state afterwards: broken, or in what transaction.
extension PhysicalConnection {
    // MARK: In

    /// COPY FROM STDIN. `fill` appends rows to the encoder until it has enough, and says whether there are more.
    ///
    /// Where `fill` throws, or the task is cancelled, the COPY fails on the server, and nothing of it stays.
    func copyIn(
        _ table: String, _ names: [String], _ source: CopyInSource, _ limits: FlightLimits,
        _ fill: (inout CopyEncoder) async throws -> Bool
    ) async throws -> CommandResult {
        var encoder: CopyEncoder
        var (names, options) = (names, "")
        switch source {
        case .values(let kinds):
            let columns = try await copyColumns(of: table, names, limits)
            guard kinds.count == columns.count else {
                let names = columns.map(\.name).joined(separator: ", ")
                throw EngineError.encoding(
                    "the rows for \(table): they have \(kinds.count) values, and there are \(columns.count) columns (\(names))"
                )
            }
            encoder = CopyEncoder(columns, for: kinds)
            (names, options) = (encoder.columns.map(\.name), "FORMAT \(encoder.format)")
        case .bytes(let format): (encoder, options) = (CopyEncoder(), try format.options())
        }
        let target = try Self.name { () throws(SQLValueError) in try SQLIdentifier.qualified(table) }
        let list = try names.map { name in
            try Self.name { () throws(SQLValueError) in try SQLIdentifier.quoted(name) }
        }.joined(separator: ", ")
        let text = "COPY \(target)\(list.isEmpty ? "" : " (\(list))") FROM STDIN (\(options))"
        try await beginCopy(text, limits)
        let failure = await send(&encoder, limits, fill)
        let ending = failure == nil ? limits : Self.endingLimits
        let outcome = try await attempt { () throws(WireError) in
            try await wire.endCopyIn(failing: failure.map { _ in "ended by the client" }, ending)
        }
        isCopying = false
        if let failure { throw failure }
        return try result(outcome, text, limits)
    }

    /// Sends all rows. The server's own refusal is not a failure here: the end of the COPY tells it.
    private func send(
        _ encoder: inout CopyEncoder, _ limits: FlightLimits, _ fill: (inout CopyEncoder) async throws -> Bool
    ) async -> (any Error)? {
        do {
            var isMore = true
            while isMore {
                isMore = try await fill(&encoder)
                if !isMore { encoder.finish() }
                try Task.checkCancellation()
                try checkNotShutDown()
                while true {
                    let isTaken = try encoder.buffer.bytes.withUnsafeBytes { bytes throws(WireError) in
                        try wire.offerCopy(bytes)
                    }
                    try await attempt { () throws(WireError) in try await wire.flush(limits) }
                    if isTaken { break }
                }
                encoder.removeAll()
            }
            return nil
        } catch {
            return (error as? WireError).map { EngineError($0) } ?? error
        }
    }

    /// The types of the named columns, or of all that take values; a domain's is that of its base.
    private func copyColumns(
        of table: String, _ names: [String], _ limits: FlightLimits
    ) async throws -> [CopyEncoder.Column] {
        let target = try Self.name { () throws(SQLValueError) in try SQLIdentifier.qualified(table) }
        let query: SQLQuery = """
            SELECT a.attname, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END::int8, a.attgenerated <> ''
            FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = \(target)::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
            """
        let outcome = try await attempt { () throws(WireError) in
            try await fly(Flight(statement: query, limits: limits, isOwn: true))
        }
        if let error = outcome.failure { throw failure(error, "COPY \(target) FROM STDIN", limits) }
        let result = try verdict(on: outcome, SessionOptions()).get()
        let rows = try RowDecoding<(String, Int, Bool)>.tuple().rows(of: result)
        // Nobody writes into what is generated, and COPY without a list of columns leaves it out too.
        guard !names.isEmpty else { return rows.filter { !$0.2 }.map { .init(name: $0.0, type: UInt32($0.1)) } }
        return try names.map { name in
            guard let row = rows.first(where: { $0.0 == name }) else {
                throw EngineError.encoding("the table \(table) has no column \"\(name)\"")
            }
            return .init(name: name, type: UInt32(row.1))
        }
    }

    // MARK: Out

    /// Starts COPY (query) TO STDOUT and returns what its columns are. In a transaction a savepoint protects it from an
    /// early end, which must cancel the COPY on the server.
    func beginCopyOut(_ query: SQLQuery, _ format: CopyFormat, _ limits: FlightLimits) async throws -> RowColumns {
        guard query.parameters.count == 0 else {
            throw EngineError.encoding("COPY takes no parameters: use stream(), or write the values into the query")
        }
        let options = try format.options()
        let query = query.unended.closed
        let copy = "COPY (\(query.text)) TO STDOUT (\(options))"
        // While something else is under way, the protocol does not tell.
        try await attempt { () throws(WireError) in try await landLeftover() }
        let isInTransaction = wire.transactionStatus == .inTransaction
        let outcome = try await attempt { () throws(WireError) in
            try await fly(
                Flight(
                    statement: query, further: isInTransaction ? [Self.savepoint] : [], limits: limits, isOwn: true,
                    isUnnamed: true, onlyDescribes: true))
        }
        if let error = outcome.failure { throw failure(error, copy, limits, shift: "COPY (".count) }
        let columns = RowColumns(
            of: try verdict(on: outcome, SessionOptions()).get(), knowing: types, isBinary: true)
        try await attempt { () throws(WireError) in _ = try note(cache.traits(of: query.text)) }
        try await beginCopy(copy, limits)
        copySavepoint = isInTransaction
        return columns
    }

    /// Whether rows of a COPY TO STDOUT are still wanted: of one that is being cancelled, its end alone is.
    var wantsCopied: Bool { !wire.isCancelling }

    /// Waits for more of a COPY TO STDOUT. `turn` is when others on the task's thread were let in last.
    func waitForCopied(_ limits: FlightLimits, _ turn: inout Monotonic) async throws {
        try await attempt { () throws(WireError) in try await wire.waitForInput(limits) }
        await Self.endTurnIfLong(&turn)
    }

    /// The end of a COPY TO STDOUT that was read to its last row, or is being cancelled.
    func endCopyOut(_ text: String, _ limits: FlightLimits) async throws {
        let outcome = try await attempt { () throws(WireError) in try await wire.endCopy(limits) }
        isCopying = false
        if copySavepoint, wire.transactionStatus == .inTransaction {
            _ = await run([Self.release], within: .seconds(5))
        }
        copySavepoint = false
        _ = try result(outcome, text, limits)
    }

    /// Left early: cancelled on the server, read to its end, and undone. Bounded.
    func abandonCopyOut() async throws(WireError) {
        wire.cancelCopy()
        _ = try await wire.endCopy(Self.endingLimits)
        isCopying = false
        guard copySavepoint else { return }
        copySavepoint = false
        guard await run([Self.rollback, Self.release], within: .seconds(5)) else {
            wire.closeAfterSurprise()
            throw .lost("the transaction could not go on after a COPY that was left early", nil)
        }
    }

    private static let savepoint: SQLQuery = "SAVEPOINT session_copy"
    private static let rollback: SQLQuery = "ROLLBACK TO SAVEPOINT session_copy"
    private static let release: SQLQuery = "RELEASE SAVEPOINT session_copy"

    // MARK: Both

    private func beginCopy(_ text: String, _ limits: FlightLimits) async throws {
        try await attempt { () throws(WireError) in try await landLeftover() }
        let answer = try await attempt { () throws(WireError) in try await wire.beginCopy(text, limits) }
        if case .refused(let error) = answer { throw failure(error, text, limits) }
        isCopying = true
    }

    /// A step of the conversation, during which the task's cancellation cancels the COPY on the server.
    private func attempt<R>(_ body: () async throws(WireError) -> R) async throws -> R {
        let outcome: Result<R, WireError> = await withTaskCancellationHandler {
            do throws(WireError) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            wire.interrupt()
        }
        switch outcome {
        case .success(let result): return result
        case .failure(let error): throw error.surfaced(hasTimeout: wire.whyInterrupted() == .timedOut)
        }
    }

    private static var endingLimits: FlightLimits {
        FlightLimits(hard: Monotonic.now.advanced(by: WireConnection.cancelTimeout), isInterruptible: false)
    }

    private static func name(_ quote: () throws(SQLValueError) -> String) throws(EngineError) -> String {
        do throws(SQLValueError) {
            return try quote()
        } catch {
            throw .encoding("a name: \(error.reason)")
        }
    }

    private func result(
        _ outcome: Result<WireResult, WireServerError>, _ text: String, _ limits: FlightLimits
    ) throws -> CommandResult {
        switch outcome {
        case .success(let result): return CommandResult(result)
        case .failure(let error): throw failure(error, text, limits)
        }
    }

    /// As a statement's: one that was cancelled says by whom.
    ///
    /// `shift` leads from where the error is said to be to where it is in `text`.
    private func failure(
        _ error: WireServerError, _ text: String, _ limits: FlightLimits, shift: Int = 0
    ) -> any Error {
        if error.sqlState.isEmpty { return EngineError.encoding(error.message) }
        guard error.sqlState == "57014" else { return ServerError(error, query: text, shift: shift) }
        if Task.isCancelled { return CancellationError() }
        if wire.whyInterrupted() == .cancelled { return wire.isShutDown ? EngineError.shutDown : .sessionClosed }
        return limits.soft == nil ? ServerError(error, query: text) : EngineError.statementTimedOut(text.excerpt)
    }
}

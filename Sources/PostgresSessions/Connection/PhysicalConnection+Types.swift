internal import PostgresWire

/// Learning what a database's own types are. It costs a round trip when a type is first seen by any of the engine's connections
/// to a server, between a statement's answer and its decoding, and nothing afterwards.
extension PhysicalConnection {
    private static let timeout = Duration.seconds(5)

    /// Asks the server for the types in a flight's results that nobody has met yet. Where it cannot be asked (the transaction
    /// has failed, or the flight has ended it), values of such types do not decode, and the error says what to cast.
    func learnTypes(of outcome: FlightOutcome, _ flight: Flight) async throws(WireError) {
        guard outcome.failure == nil else { return }
        let isInTransaction = wire.transactionStatus == .inTransaction
        // What COMMIT rides with gives no rows to anybody, and it must not be said that it may have been lost.
        guard isInTransaction || wire.transactionStatus == .idle && flight.trailing == nil else { return }
        var found: Set<SQLType> = []
        for result in outcome.results {
            guard let columns = result.attachment as? RowColumns, columns.isForeign else { continue }
            found.formUnion(columns.foreignTypes)
            if columns.namesItsParts { RecordTypes.collect(from: result, columns, into: &found) }
        }
        if let kept = flight.rows?.kept { RecordTypes.collect(from: kept, into: &found) }
        let unknown = types.takeUnknown(of: found)
        guard !unknown.isEmpty else { return }
        try await learn(unknown, isInTransaction: isInTransaction)
    }

    /// In a transaction, a savepoint keeps the question from being its end. Whatever comes of it, a statement was completed
    /// before, and is not to be said again.
    private func learn(_ unknown: [SQLType], isInTransaction: Bool) async throws(WireError) {
        defer { noteCompletion() }
        let limits = FlightLimits(hard: Monotonic.now.advanced(by: Self.timeout), isInterruptible: false)
        let query = TypeCatalog.query(for: unknown, serverVersion: Int(wire.serverVersion))
        let outcome = try await fly(
            Flight(
                leading: isInTransaction ? ["SAVEPOINT session_types"] : [], statement: query,
                further: isInTransaction ? ["RELEASE SAVEPOINT session_types"] : [], limits: limits, isOwn: true,
                isUnnamed: true))
        if let result = outcome.result, outcome.failure == nil { types.learn(from: result) }
        guard isInTransaction, wire.transactionStatus == .failed else { return }
        let undo: [SQLQuery] = ["ROLLBACK TO SAVEPOINT session_types", "RELEASE SAVEPOINT session_types"]
        guard await run(undo, within: Self.timeout) else {
            wire.closeAfterSurprise()
            throw .lost("the transaction could not go on after a question for types", nil)
        }
    }
}

extension TypeCatalog {
    /// Everything that these types are made of, down to what is built in. A type has another's forms where both of its
    /// functions are the other's: citext is text, a type LIKE int4 is int4.
    fileprivate static func query(for types: [SQLType], serverVersion: Int) -> SQLQuery {
        let multirange: SQLQuery = serverVersion >= 140_000 ? "r.rngmultitypid" : "0"
        return """
            WITH RECURSIVE seen(oid) AS (
                SELECT unnest(\(types.map { Int($0.rawValue) }))::oid
                UNION
                SELECT part.oid FROM seen JOIN pg_catalog.pg_type t ON t.oid = seen.oid CROSS JOIN LATERAL (
                    SELECT t.typbasetype AS oid
                    UNION ALL SELECT t.typelem
                    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                    UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
                    UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE \(multirange) = t.oid
                ) AS part WHERE part.oid >= 10000 OR part.oid IN (71, 75, 81, 83, 210, 270, 272, 273, 1248)
            )
            SELECT t.oid::int8, pg_catalog.format_type(t.oid, NULL), t.typtype = 'd', s.prosrc,
                CASE WHEN t.typtype = 'd' THEN t.typbasetype WHEN s.prosrc = 'array_send' THEN t.typelem
                    WHEN s.prosrc = 'range_send' THEN
                        (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)
                    WHEN s.prosrc = 'multirange_send' THEN
                        (SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE \(multirange) = t.oid)
                    WHEN t.typtype = 'b' AND s.prolang = 12 AND o.prolang = 12 THEN
                        (SELECT min(b.oid) FROM pg_catalog.pg_type b JOIN pg_catalog.pg_proc bs ON bs.oid = b.typsend
                            JOIN pg_catalog.pg_proc bo ON bo.oid = b.typoutput
                            WHERE b.oid < 10000 AND b.typtype = 'b' AND bs.prosrc = s.prosrc AND bo.prosrc = o.prosrc)
                END::int8,
                (SELECT pg_catalog.ascii(e.typdelim::text) FROM pg_catalog.pg_type e WHERE e.oid = t.typelem),
                ARRAY(SELECT a.atttypid::int8 FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid
                    AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
            FROM seen JOIN pg_catalog.pg_type t ON t.oid = seen.oid JOIN pg_catalog.pg_proc o ON o.oid = t.typoutput
                LEFT JOIN pg_catalog.pg_proc s ON s.oid = t.typsend
            """
    }

    fileprivate func learn(from result: WireResult) {
        typealias Row = (Int, String, Bool, String?, Int?, Int?, [Int])
        guard let rows = try? RowDecoding<Row>.tuple().decodeAll(result) else { return }
        func type(_ id: Int) -> SQLType { SQLType(rawValue: UInt32(truncatingIfNeeded: id)) }
        learn(
            rows.map { id, name, isDomain, send, other, delimiter, fields in
                let kind: Kind
                switch (isDomain ? "" : send, other) {
                case ("array_send", let element?):
                    kind = .array(
                        of: type(element),
                        delimiter: delimiter.flatMap { UInt8(exactly: $0) } ?? UInt8(ascii: ","))
                case ("range_send", let bound?): kind = .range(of: type(bound))
                case ("multirange_send", let range?): kind = .multirange(of: type(range))
                case (_, let base?): kind = .alias(type(base))
                case ("enum_send", nil): kind = .alias(.text)
                case ("record_send", nil): kind = .composite
                case ("hstore_send", nil): kind = .hstore
                case ("cube_send", nil): kind = .cube
                case ("ltree_send", nil), ("lquery_send", nil), ("ltxtq_send", nil): kind = .versionedText
                default: kind = .opaque
                }
                return (type(id), Entry(name, kind, fields: fields.map { type($0) }))
            })
    }
}

/// The types that records name, and that no column's type tells of.
enum RecordTypes {
    static func collect(from result: WireResult, _ columns: RowColumns, into found: inout Set<SQLType>) {
        for column in 0..<columns.count where columns.types[column].namesItsParts && columns.isBinary[column] {
            for row in 0..<result.rowCount {
                guard let bytes = result.cell(row: row, column: column) else { continue }
                let cell = SQLCell(bytes: bytes, type: columns.types[column], isBinary: true)
                try? collect(from: cell, into: &found, depth: 0)
            }
        }
    }

    static func collect(from kept: KeptRows, into found: inout Set<SQLType>) {
        let cells = RowCells(columns: kept.columns)
        kept.forEach { row, index in
            guard (try? cells.load(copied: row, row: index)) != nil else { return }
            defer { cells.unload() }
            for column in 0..<kept.columns.count where kept.columns.types[column].namesItsParts {
                if let cell = try? cells.reader.cell(column), cell.isBinary {
                    try? collect(from: cell, into: &found, depth: 0)
                }
            }
        }
    }

    private static func collect(from cell: SQLCell, into found: inout Set<SQLType>, depth: Int) throws {
        guard depth < 16 else { return }
        if cell.type == .record {
            var reader = ByteReader(cell.bytes)
            for _ in 0..<(try reader.integer(Int32.self)) {
                let type = SQLType(rawValue: try reader.integer(UInt32.self))
                let bytes = try reader.counted()
                try note(type, bytes, into: &found, depth)
            }
        } else {
            var reader = try BinaryArrayReader(cell)
            for _ in 0..<reader.dimensions.reduce(1, *) where !reader.isEmpty {
                let element = try reader.next()
                try note(reader.elementType, element?.bytes, into: &found, depth)
            }
        }
    }

    private static func note(
        _ type: SQLType, _ bytes: UnsafeRawBufferPointer?, into found: inout Set<SQLType>, _ depth: Int
    ) throws {
        if type.isOfDatabase { found.insert(type) }
        guard type.namesItsParts, let bytes else { return }
        try collect(from: SQLCell(bytes: bytes, type: type, isBinary: true), into: &found, depth: depth + 1)
    }
}

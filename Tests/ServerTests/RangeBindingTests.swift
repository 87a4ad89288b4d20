import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Testing

private let moment = Date(timeIntervalSince1970: 1_700_000_000.25)
private let kolkata = SessionOptions(locals: ["timezone": "Asia/Kolkata"])

@Suite(.timeLimit(.minutes(30))) struct `A range of another type than its column` {
    private static let targets = ["int4range", "numrange", "int8range", "tsrange", "daterange", "tstzrange"]

    private func bind(_ target: String, _ session: Session, many: Bool) async throws {
        try await session.execute("CREATE TEMP TABLE spans (r \(unsafeRaw: target)) ON COMMIT DROP")
        if target.hasPrefix("int") || target.hasPrefix("num") {
            if many {
                try await session.execute("INSERT INTO spans VALUES (\(SQLMultirange([SQLRange(1..<5)])))")
            } else {
                try await session.execute("INSERT INTO spans VALUES (\(SQLRange(1..<5)))")
            }
        } else if many {
            try await session.execute("INSERT INTO spans VALUES (\(SQLMultirange([SQLRange(moment..<moment + 1)])))")
        } else {
            try await session.execute("INSERT INTO spans VALUES (\(SQLRange(moment..<moment + 1)))")
        }
    }

    @Test(arguments: targets, [false, true])
    func `is refused with what to bind, or it fits`(target: String, many: Bool) async throws {
        let target = many ? target.replacingOccurrences(of: "range", with: "multirange") : target
        try await withShop { shop in
            let error = try? await failure {
                try await shop.engine.withTransaction { try await bind(target, $0, many: many) }
            }
            let fits = target.hasPrefix("int8") || target.hasPrefix("tstz")
            #expect((error == nil) == fits, "\(target)")
            guard !fits, let error = error as? ServerError else { return }
            #expect(error.sqlState == .datatypeMismatch && error.hint?.contains("SQLTimestamp for ts") == true)
            let other = try await failure {
                try await shop.engine.query("SELECT '[1,2)'::int4range && \(SQLRange(1..<5))", as: Bool.self).one()
            }
            #expect((other as? ServerError)?.hint?.contains("Int32 for int4") == true)
        }
    }

    @Test func `goes by COPY where nothing is lost`() async throws {
        try await withShop(session: kolkata) { shop in
            try await shop.engine.withTransaction { session in
                try await session.execute("CREATE TEMP TABLE spans (i int4range, n numrange, t tsrange) ON COMMIT DROP")
                let spans = [(SQLRange(1..<5), SQLRange(1..<5), SQLRange(moment..<moment + 1))]
                try await session.copyIn("spans", rows: spans)
                let back = try await session.query(
                    "SELECT i, n, t, t::text FROM spans",
                    as: (SQLRange<Int>, SQLRange<Decimal>, SQLRange<Date>, String).self
                ).one()
                #expect(back.0 == spans[0].0 && back.1 == SQLRange(1..<5 as Range<Decimal>) && back.2 == spans[0].2)
                #expect(back.3 == "[\"2023-11-14 22:13:20.25\",\"2023-11-14 22:13:21.25\")")
                let refused = await outcome {
                    try await session.withSavepoint { session in
                        try await session.copyIn("spans", columns: ["i"], rows: [SQLRange(Int.max - 1..<Int.max)])
                    }
                }
                #expect(refused == .server(.numericValueOutOfRange))
            }
        }
    }
}

private struct Appointment: Codable, Equatable, Table {
    static let tableName = "appointments"
    var id: Int
    var day: SQLDate
    var at: SQLTime?
    var noted: SQLTimestamp
    var spans: SQLRange<SQLTimestamp>
    var lasts: SQLInterval
    var places: [SQLPoint]
    var host: SQLInet?
}

private struct Holder: Decodable { var one: Appointment }

@Suite(.timeLimit(.minutes(30))) struct `A timestamp without a zone` {
    @Test func `is stored as it is said, whatever the session's zone`() async throws {
        try await withShop(session: kolkata) { shop in
            try await shop.engine.execute("CREATE TABLE stamps (t timestamp, tz timestamptz)")
            let stamp = try SQLTimestamp(moment)
            try await shop.engine.withTransaction { session in
                try await session.execute("INSERT INTO stamps VALUES (\(stamp), \(moment))")
                let back = try await session.query(
                    "SELECT t, t, t::text, tz FROM stamps", as: (SQLTimestamp, Date, String, Date).self
                ).one()
                #expect(back == (stamp, moment, "2023-11-14 22:13:20.25", moment))
                let found = try await session.query(
                    "SELECT count(*) FROM stamps WHERE t = \(stamp) AND t = ANY(\([stamp]))", as: Int.self
                ).one()
                #expect(found == 1 && stamp.dateInUTC == moment)
            }
        }
    }

    @Test func `is a moment by COPY as by INSERT: the session's zone says which`() async throws {
        try await withShop(session: kolkata) { shop in
            try await shop.engine.withTransaction { session in
                try await session.execute("CREATE TEMP TABLE stamps (tz timestamptz) ON COMMIT DROP")
                let stamp = try SQLTimestamp(moment)
                try await session.execute("INSERT INTO stamps VALUES (\(stamp))")
                try await session.copyIn("stamps", rows: [stamp])
                let stored = try await session.query("SELECT tz FROM stamps", as: Date.self).all()
                #expect(stored == [moment - 5.5 * 3600, moment - 5.5 * 3600])
            }
        }
    }

    @Test func `is a field of a table's struct, as all types are`() async throws {
        try await withShop { shop in
            try await shop.witness.execute(
                """
                CREATE TABLE appointments (id int8 PRIMARY KEY, day date, at time, noted timestamp, spans tsrange,
                    lasts interval, places point[], host inet)
                """)
            let stamp = try SQLTimestamp(moment)
            let one = Appointment(
                id: 1, day: .infinity, at: SQLTime(hour: 24, minute: 0), noted: stamp,
                spans: .between(lower: .inclusive(stamp), upper: .unbounded), lasts: SQLInterval(months: -1, days: 3),
                places: [SQLPoint(x: 1, y: -2.5)], host: SQLInet(address: [10, 0, 0, 1]))
            try await shop.engine.withTransaction { session in
                #expect(try await session.insert(one) == one)
                let json = try await session.query("SELECT \(json: one) AS one", as: Holder.self).one()
                #expect(json.one == one)
                let fields = try await session.query(
                    "SELECT \(json: one)->>'noted', \(json: one)->>'lasts'", as: (String, String).self
                ).one()
                #expect(fields == ("2023-11-14 22:13:20.25", "-1 mons +3 days"))
            }
        }
    }
}

import Foundation
import PostgresSessions
import Testing

/// Values of one type on their way through the server and back: bound and decoded, alone and in arrays, by COPY in and out,
/// each compared with what the server's own `::text` says.
struct TypeCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let check: @Sendable (Session) async throws -> Void
    /// The same values, where the server sends text; on an engine of one connection.
    let checkText: @Sendable (Engine) async throws -> Void

    /// `text` is false where the server prints digits, or a currency, that no client can know.
    init<V: SQLEncodable & SQLDecodable & Equatable>(
        _ type: String, text: Bool = true, arrays: Bool = true, _ values: @autoclosure @escaping @Sendable () -> [V]
    ) {
        testDescription = "\(type) as \(V.self)"
        checkText = { engine in
            let values = values()
            for value in values { try await TextTrip(engine: engine).take(value, type) }
            if arrays { try await TextTrip(engine: engine).take(values.map { $0 } + [nil], type + "[]") }
        }
        check = { session in
            let trip = RoundTrip(session: session, type: type, comparesText: text)
            let values = values()
            for value in values { try await trip.alone(value) }
            if arrays {
                try await trip.inArray(values.map { $0 } + [nil])
                try await trip.inArray([] as [V?])
            }
            try await trip.copied(values, arrays: arrays)
        }
    }
}

private struct RoundTrip {
    var session: Session
    var type: String
    var comparesText: Bool

    func alone<V: SQLEncodable & SQLDecodable & Equatable>(_ value: V) async throws {
        let query: SQLQuery = """
            SELECT v, v, v::text FROM (SELECT \(value)::\(unsafeRaw: type) AS v) AS bound
            """
        let (back, own, server) = try await session.query(query, as: (V, Printed, String).self).one()
        #expect(back == value, "\(type)")
        if comparesText { #expect(own.text == server, "\(type)") }
        let null = try await session.query("SELECT \(nil as V?)::\(unsafeRaw: type)", as: V?.self).one()
        #expect(null == nil)
    }

    func inArray<V: SQLEncodable & SQLDecodable & Equatable>(_ values: [V?]) async throws {
        let query: SQLQuery = "SELECT v, v, v::text FROM (SELECT \(values)::\(unsafeRaw: type)[] AS v) AS bound"
        let (back, own, server) = try await session.query(query, as: ([V?], Printed, String).self).one()
        #expect(back == values, "\(type)[]")
        if comparesText { #expect(own.text == server, "\(type)[]") }
    }

    func copied<V: SQLEncodable & SQLDecodable & Equatable>(_ values: [V], arrays: Bool) async throws {
        try await session.execute("CREATE TEMP TABLE trip (i int4, v \(unsafeRaw: type)) ON COMMIT DROP")
        let rows = values.enumerated().map { ($0, $1 as V?) } + [(values.count, nil)]
        let written = try await session.copyIn("trip", columns: ["i", "v"], rows: rows)
        #expect(written == rows.count)
        let servers = try await session.query("SELECT v::text FROM trip ORDER BY i", as: String?.self).all()
        var back: [V?] = []
        for try await (value, own, server) in try await session.copyOut(
            "SELECT v, v, v::text FROM trip ORDER BY i", as: (V?, Printed?, String?).self)
        {
            if comparesText { #expect(own?.text == server, "\(type)") }
            #expect(server == servers[back.count], "\(type)")
            back.append(value)
        }
        #expect(back == rows.map(\.1), "\(type)")
        try await session.execute("DROP TABLE trip")
    }
}

/// A column without a binary form makes the server send all of them as text, once it has been found out.
private struct TextTrip {
    var engine: Engine

    func take<V: SQLEncodable & SQLDecodable & Equatable>(_ value: V, _ type: String) async throws {
        let bound: SQLQuery = "(SELECT \(value)::\(unsafeRaw: type) AS v) AS bound"
        let (fromText, shown, _) = try await engine.query(
            "SELECT v, v, 'postgres=r/postgres'::aclitem FROM \(bound)", as: (V, Printed, String).self
        ).one()
        let (fromBinary, expected) = try await engine.query("SELECT v, v FROM \(bound)", as: (V, Printed).self).one()
        #expect(fromText == fromBinary, "\(type)")
        // Of money, which has no text but the server's, the binary form has none.
        if let expected = expected.text { #expect(shown.text == expected, "\(type)") }
    }
}

/// Any value as the text that this library makes of it; nothing where it can make none.
private struct Printed: SQLDecodable {
    var text: String?
    init(sqlCell: SQLCell) throws { text = try? String(sqlCell: sqlCell) }
}

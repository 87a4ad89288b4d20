import Foundation
import PostgresWire
import Testing

@testable import PostgresSessions

@Suite struct `The text of a query` {
    @Test func `numbers its parameters in order`() {
        let q: SQLQuery = "SELECT \(1), \("a") WHERE \(true)"
        #expect(q.text == "SELECT $1, $2 WHERE $3")
        #expect(q.parameters.count == 3)
        #expect(q.parameters.parameters.map(\.oid) == [20, 0, 16])
    }

    @Test func `takes interpolated literals as values, never as text`() {
        let name = "x"
        let q: SQLQuery = "SELECT \("'; DROP TABLE items; --"), \("hello \(name)")"
        #expect(q.text == "SELECT $1, $2")
    }

    @Test func `renumbers the fragments that it is composed of`() {
        let mine: SQLQuery = "owner = \(7) AND tag = \("a")"
        let q: SQLQuery = "SELECT \(1) WHERE \(mine) OR \(mine)"
        #expect(q.text == "SELECT $1 WHERE owner = $2 AND tag = $3 OR owner = $4 AND tag = $5")
        #expect(q.parameters.count == 5)
        let first: SQLQuery = "\(mine) AND \(2)"
        #expect(first.text == "owner = $1 AND tag = $2 AND $3")
    }

    @Test func `leaves dollar signs in literals, identifiers and dollar quotes alone`() {
        let f: SQLQuery = "a = '$1' AND \"$2\" = $$ $1 $$ AND é = \(1) AND '$1' < \(2)"
        let q: SQLQuery = "SELECT '$1', \(0) WHERE \(f)"
        #expect(q.text == "SELECT '$1', $1 WHERE a = '$1' AND \"$2\" = $$ $1 $$ AND é = $2 AND '$1' < $3")
    }

    @Test func `renumbers across a change in the number of digits`() {
        let f: SQLQuery = "\(1),\(2)"
        let q = Array(repeating: f, count: 60).joined(separator: ",")
        #expect(q.text == (1...120).map { "$\($0)" }.joined(separator: ","))
        let all: SQLQuery = "SELECT \(0), \(q)"
        #expect(
            all.text == "SELECT " + (1...1).map { "$\($0)" }[0] + ", "
                + (2...121).map { "$\($0)" }.joined(separator: ","))
    }

    @Test func `quotes identifiers so that nothing in them ends the quotes`() {
        let q: SQLQuery = "SELECT * FROM \(identifier: "a\"b; --") WHERE \(unsafeRaw: "true")"
        #expect(q.text == "SELECT * FROM \"a\"\"b; --\" WHERE true")
    }

    @Test func `quotes identifiers by bytes, as the server reads them`() {
        let q: SQLQuery = "SELECT \(identifier: "a\"\u{301}; --")"
        #expect(q.text.utf8.elementsEqual("SELECT \"a\"\"\u{301}; --\"".utf8))
    }

    @Test func `binds nil as a NULL of its type`() {
        let q: SQLQuery = "SELECT \(String?.none), \(Optional(7)), \(Int?.none)"
        #expect(q.parameters.parameters.map(\.length) == [-1, 8, -1])
        #expect(q.parameters.parameters.map(\.oid) == [0, 20, 20])
    }

    @Test func `binds an enum as its raw value, unless it has a form of its own`() throws {
        enum Mood: String { case happy }
        enum Level: Int32, SQLEncodable {
            case low = 1
            static var sqlType: SQLType { .int8 }
            func encode(into buffer: inout SQLEncodingBuffer) throws { try (Int(rawValue) + 40).encode(into: &buffer) }
        }
        let nobody: Mood? = nil
        let q: SQLQuery = "SELECT \(Mood.happy), \(Level.low), \(nobody)"
        let plain: SQLQuery = "SELECT \("happy"), \(41), \(String?.none)"
        #expect(q.parameters.bytes == plain.parameters.bytes)
        #expect(q.parameters.parameters.map(\.oid) == plain.parameters.parameters.map(\.oid))
    }

    @Test func `binds JSON as jsonb`() {
        let q: SQLQuery = "SELECT \(json: ["a": 1])"
        #expect(q.parameters.value(at: 0) == [1] + Array(#"{"a":1}"#.utf8))
        #expect(q.parameters.parameters[0].oid == 3802)
    }

    @Test func `shows no bound value`() {
        let q: SQLQuery = "SELECT \("secret")"
        #expect(!String(describing: q).contains("secret"))
    }
}

@Suite struct `A query that cannot be sent` {
    private func refusal(_ q: SQLQuery) -> String? {
        do throws(EngineError) {
            try q.validated()
            return nil
        } catch {
            return String(describing: error)
        }
    }

    @Test func `names the parameter with a NUL in its text`() {
        #expect(refusal("SELECT \(1), \("a\0b")")?.contains("$2 (String)") == true)
        #expect(refusal("SELECT \(["a", "b\0"])")?.contains("$1") == true)
        #expect(refusal("SELECT \("fine")") == nil)
    }

    @Test func `has a NUL in its text or its identifiers`() {
        #expect(refusal("SELECT 1\0") != nil)
        #expect(refusal("SELECT \(identifier: "a\0")") != nil)
        #expect(refusal("SELECT \(identifier: "")") != nil)
    }

    @Test func `has more parameters than the protocol can count`() {
        let many = (0..<65_535).map { "\($0)" as SQLQuery }.joined(separator: ",")
        #expect(refusal(many) == nil)
        #expect(refusal("\(many), \(1)")?.contains("65535") == true)
    }

    @Test func `keeps the refusal of its fragments`() {
        let bad: SQLQuery = "a = \("\0")"
        #expect(refusal("SELECT \(1) WHERE \(bad)") != nil)
    }

    @Test func `has a number or a date that PostgreSQL has not`() {
        #expect(refusal("SELECT \(Decimal.nan)") != nil)
        #expect(refusal("SELECT \(Date(timeIntervalSinceReferenceDate: .infinity))") != nil)
        #expect(refusal("SELECT \(Date(timeIntervalSinceReferenceDate: .nan))") != nil)
    }
}

extension WireParameters {
    /// The bytes of one parameter; nil for NULL.
    fileprivate func value(at wanted: Int) -> [UInt8]? {
        var value: [UInt8]?
        forEach { index, parameter, bytes in
            guard index == wanted && parameter.length >= 0 else { return }
            value = Array(UnsafeRawBufferPointer(start: bytes, count: Int(parameter.length)))
        }
        return value
    }
}

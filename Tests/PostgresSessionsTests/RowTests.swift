import Foundation
import PostgresWire
import Testing

@testable import PostgresSessions

private struct Item: Codable, Equatable {
    var id: Int
    var name: String
    var price: Double
    var createdAt: Date?
}

private enum Mood: String, Codable { case happy, sad }
private struct Settings: Codable, Equatable, Sendable {
    var theme: String
    var sizes: [Int]
}

private typealias Column = SyntheticResult.Column

private func result(_ columns: [(String, SQLType)], _ rows: [[UInt8]?]...) -> WireResult {
    SyntheticResult(columns.map { Column(name: $0.0, type: $0.1) }, rows: rows).wire
}

func failure<T>(_ body: () throws -> T) -> DecodingFailure? {
    do {
        _ = try body()
    } catch EngineError.decoding(let failure) {
        return failure
    } catch {
        Issue.record("\(error)")
    }
    return nil
}

@Suite struct `Rows into scalars and tuples` {
    @Test func `decode in order`() throws {
        let two = result([("id", .int8), ("name", .text)], [big(Int64(1)), Array("a".utf8)], [big(Int64(2)), nil])
        let rows = try RowDecoding<(Int, String?)>.tuple().decodeAll(two)
        #expect(rows.map(\.0) == [1, 2])
        #expect(rows.map(\.1) == ["a", nil])
        let one = result([("n", .int4)], [big(Int32(7))], [nil])
        #expect(try RowDecoding<Int?>.scalar.decodeAll(one) == [7, nil])
    }

    @Test func `refuse another number of columns, and name both`() {
        let three = result([("a", .int8), ("b", .int8), ("c", .int8)])
        let failed = failure { try RowDecoding<(Int, Int)>.tuple().decodeAll(three) }
        #expect(failed?.reason == "it takes 2 columns, the result has 3 columns (a, b, c)")
        #expect(failure { try RowDecoding<Int>.scalar.decodeAll(three) }?.reason.contains("1 column,") == true)
    }

    @Test func `refuse a result that can have no rows, and name the remedy`() throws {
        struct Item: Decodable { let id: Int? }
        func reason<T>(_ decoding: RowDecoding<T>) -> String? {
            failure { try decoding.decodeAll(result([])) }?.reason
        }
        let remedy = "the result has 0 columns: INSERT, UPDATE and DELETE have rows where they say RETURNING"
        #expect(reason(RowDecoding<Int>.scalar) == "it takes 1 column, \(remedy)")
        #expect(reason(RowDecoding<(Int, Int)>.tuple()) == "it takes 2 columns, \(remedy)")
        #expect(reason(RowDecoding<Item>.decodable) == "it takes columns, \(remedy)")
        #expect(reason(RowDecoding<Mood>.decodable) == "it takes columns, \(remedy)")
        #expect(try RowDecoding<Item>.decodable.decodeAll(result([("id", .int8)])).isEmpty)
    }

    @Test func `name their own type where there is a NULL, and not that of its raw value`() throws {
        let null = result([("mood", .text)], [nil])
        let failed = failure { try RowDecoding<Mood>.decodable.decodeAll(null) }
        #expect(failed?.type == "Mood" && failed?.column == "mood")
        #expect(try RowDecoding<Mood?>.decodable.decodeAll(null) == [nil])
    }

    @Test func `name the column, its type, the row and the reason`() {
        let bad = result([("id", .int8), ("name", .text)], [big(Int64(1)), Array("a".utf8)], [big(Int64(2)), nil])
        let failed = failure { try RowDecoding<(Int, String)>.tuple().decodeAll(bad) }
        #expect(failed?.column == "name" && failed?.row == 1 && failed?.sqlType == .text && failed?.type == "String")
        #expect(
            failed.map { String(describing: $0) }
                == "column \"name\" (text) of row 1 as String: the value is NULL, and String is not optional")
        let wide = result([("n", .int8)], [big(Int64(1000))])
        #expect(failure { try RowDecoding<Int8>.scalar.decodeAll(wide) }?.column == "n")
    }

    @Test func `decode enums and JSON values as scalars`() throws {
        let moods = result([("mood", .text)], [Array("sad".utf8)])
        #expect(try RowDecoding<Mood>.decodable.decodeAll(moods) == [.sad])
        let failed = failure {
            try RowDecoding<Mood>.decodable.decodeAll(result([("mood", .text)], [Array("grumpy".utf8)]))
        }
        #expect(failed?.column == "mood")
        #expect(failed?.reason.contains("grumpy") == false)
    }
}

@Suite struct `Rows into structs` {
    private let columns: [(String, SQLType)] = [
        ("price", .float8), ("created_at", .timestamptz), ("id", .int4), ("name", .text),
    ]

    @Test func `go by name, in any order, through snake case`() throws {
        let rows = result(
            columns, [try encoded(1.5), big(Int64(0)), big(Int32(1)), Array("a".utf8)],
            [try encoded(2.5), nil, big(Int32(2)), Array("b".utf8)])
        let items = try RowDecoding<Item>.decodable.decodeAll(rows)
        #expect(items.map(\.id) == [1, 2])
        #expect(items[0] == Item(id: 1, name: "a", price: 1.5, createdAt: Date(timeIntervalSince1970: 946_684_800)))
        #expect(items[1].createdAt == nil)
    }

    @Test func `name a column that is missing, and those that are there`() {
        let failed = failure { try RowDecoding<Item>.decodable.decodeAll(result([("id", .int8)], [big(Int64(1))])) }
        #expect(failed?.reason == "there is no column \"name\"; the result has 1 column (id)")
        #expect(failed?.row == 0)
    }

    @Test func `say where the only column's JSON belongs`() {
        let json = result([("payload", .jsonb)], [[1] + Array("{}".utf8)])
        let reason = failure { try RowDecoding<Item>.decodable.decodeAll(json) }?.reason
        #expect(reason?.hasSuffix("(payload): its JSON becomes a field of the row's type") == true)
    }

    @Test func `name the column with a NULL or a value that does not fit`() {
        let null = result(columns, [big(UInt64(0)), nil, nil, Array("a".utf8)])
        #expect(failure { try RowDecoding<Item>.decodable.decodeAll(null) }?.column == "id")
        let short = result(columns, [[1, 2], nil, big(Int32(1)), Array("a".utf8)])
        let failed = failure { try RowDecoding<Item>.decodable.decodeAll(short) }
        #expect(failed?.column == "price" && failed?.reason == "the value has 2 bytes, not 8")
    }

    /// As property wrappers do.
    private struct OrZero: Decodable, Equatable {
        var value: Int
        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            value = container.decodeNil() ? 0 : try container.decode(Int.self)
        }
    }

    private struct Counted: Decodable {
        var count: OrZero
    }

    @Test func `leave NULL to types that have a meaning for it`() throws {
        let rows = result([("count", .int8)], [nil], [big(Int64(7))])
        #expect(try RowDecoding<Counted>.decodable.decodeAll(rows).map(\.count.value) == [0, 7])
        #expect(try RowDecoding<OrZero>.decodable.decodeAll(rows).map(\.value) == [0, 7])
    }

    private struct Rich: Decodable {
        var mood: Mood
        var settings: Settings
        var more: Settings?
        var names: [String]
        var userID: UUID
        var price: Decimal
        var maybe: Mood?
    }

    @Test func `decode enums, JSON, arrays and optionals in their columns`() throws {
        let id = UUID()
        let json = Array(#"{"theme":"dark","sizes":[1,2]}"#.utf8)
        let rows = result(
            [
                ("mood", Invented.mood), ("settings", .jsonb), ("more", .json), ("names", .textArray),
                ("user_id", .uuid), ("price", .numeric), ("maybe", .text),
            ],
            [
                Array("happy".utf8), [1] + json, nil,
                big(Int32(1)) + big(Int32(0)) + big(UInt32(25)) + big(Int32(1)) + big(Int32(1)) + big(Int32(1)) + [
                    0x61
                ],
                try encoded(id), try encoded(Decimal(string: "1.25")!), nil,
            ])
        let rich = try #require(try RowDecoding<Rich>.decodable.decodeAll(rows).first)
        #expect(rich.mood == .happy && rich.settings == Settings(theme: "dark", sizes: [1, 2]) && rich.more == nil)
        #expect(rich.names == ["a"] && rich.userID == id && rich.price == Decimal(string: "1.25") && rich.maybe == nil)
    }

    @Test func `say where JSON does not fit, without quoting it`() {
        struct Holder: Decodable { var settings: Settings }
        let rows = result([("settings", .jsonb)], [[1] + Array(#"{"theme":"secret"}"#.utf8)])
        let failed = failure { try RowDecoding<Holder>.decodable.decodeAll(rows) }
        #expect(failed?.column == "settings" && failed?.reason.contains("sizes") == true)
        #expect(failed?.reason.contains("secret") == false)
    }

    private struct ByHand: Decodable {
        var theme: String
        var count: Int
        enum Keys: String, CodingKey { case settings, count }
        struct Inner: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }
        init(from decoder: any Decoder) throws {
            let row = try decoder.container(keyedBy: Keys.self)
            count = try row.decode(Int.self, forKey: .count)
            theme = try row.nestedContainer(keyedBy: Inner.self, forKey: .settings).decode(
                String.self, forKey: Inner(stringValue: "theme"))
            let again = try decoder.container(keyedBy: Inner.self)
            count += try again.decode(Int.self, forKey: Inner(stringValue: "count"))
        }
    }

    @Test func `work with initializers written by hand`() throws {
        let rows = result([("count", .int8), ("settings", .json)], [big(Int64(4)), Array(#"{"theme":"x"}"#.utf8)])
        let row = try #require(try RowDecoding<ByHand>.decodable.decodeAll(rows).first)
        #expect(row.theme == "x" && row.count == 8)
    }

    private struct Keeper: Decodable {
        let decoder: any Decoder
        init(from decoder: any Decoder) throws { self.decoder = decoder }
    }

    @Test func `decode in many tasks at once`() async throws {
        let rows = result(columns, [try encoded(1.5), nil, big(Int32(1)), Array("a".utf8)])
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<200 { group.addTask { try RowDecoding<Item>.decodable.decodeAll(rows)[0].id } }
            return try await group.reduce(0, +)
        }
        #expect(sum == 200)
    }

    @Test func `refuse to be read after their row`() throws {
        let rows = result([("id", .int8)], [big(Int64(4))])
        let keeper = try #require(try RowDecoding<Keeper>.decodable.decodeAll(rows).first)
        for _ in 1...2 {
            #expect(throws: (any Error).self) { _ = try keeper.decoder.singleValueContainer().decode(Int.self) }
            #expect(throws: (any Error).self) { _ = try keeper.decoder.unkeyedContainer() }
            #expect(throws: (any Error).self) { _ = try keeper.decoder.container(keyedBy: ByHand.Keys.self) }
            // What it read from may be somebody else's by now.
            #expect(try RowDecoding<Keeper>.decodable.decodeAll(rows).count == 1)
        }
    }

    private class Named: Decodable { let name: String }

    private final class Priced: Named {
        let price: Double
        enum Keys: String, CodingKey { case price }
        required init(from decoder: any Decoder) throws {
            let row = try decoder.container(keyedBy: Keys.self)
            price = try row.decode(Double.self, forKey: .price)
            try super.init(from: row.superDecoder())
        }
    }

    @Test func `work with classes that inherit from others`() throws {
        let rows = result([("name", .text), ("price", .float8)], [Array("a".utf8), big(1.5.bitPattern)])
        let row = try #require(try RowDecoding<Priced>.decodable.decodeAll(rows).first)
        #expect(row.name == "a" && row.price == 1.5)
    }
}

@Suite struct `Rows as they are` {
    @Test func `read by name and by index`() throws {
        let rows = result([("id", .int8), ("name", .text)], [big(Int64(1)), nil])
        let row = try #require(try RowDecoding<ResultRow>.row.decodeAll(rows).first)
        #expect(try row["id", as: Int.self] == 1)
        #expect(try row[1, as: String?.self] == nil)
        #expect(row.columns == ["id", "name"] && row.count == 2)
        #expect(failure { try row["nam", as: Int.self] }?.reason.contains("(id, name)") == true)
        #expect(failure { try row[2, as: Int.self] } != nil)
        #expect(failure { try row["name", as: String.self] }?.column == "name")
    }
}

@Suite struct `A value that does not fit its row` {
    private struct Price: Decodable { var id: Int, price: Int }
    private struct MaybePrice: Decodable { var id: Int, price: Int? }
    private struct Holder: Decodable { var cost: Price }

    private let one = result([("price", .text)], [Array("5".utf8)], [Array("x".utf8)])
    private let two = result(
        [("id", .int8), ("price", .text)], [big(Int64(1)), Array("5".utf8)], [big(Int64(2)), Array("x".utf8)])

    /// Column, type, row and reason are the same, however the row is read.
    private func expectNamed<T>(
        in row: Int = 1, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> T
    ) throws {
        let thrown = failure(body)
        let failed = try #require(thrown, sourceLocation: sourceLocation)
        #expect(
            failed.column == "price" && failed.sqlType == .text && failed.row == row, sourceLocation: sourceLocation)
        #expect(failed.reason == "the text does not read as Int", sourceLocation: sourceLocation)
        let shown = "cannot decode column \"price\" (text) of row \(row) as \(failed.type): \(failed.reason)"
        #expect("\(EngineError.decoding(failed))" == shown, sourceLocation: sourceLocation)
    }

    @Test func `is named in scalars`() throws {
        try expectNamed { try RowDecoding<Int>.scalar.decodeAll(one) }
        try expectNamed { try RowDecoding<Int?>.scalar.decodeAll(one) }
    }

    @Test func `is named in tuples`() throws {
        try expectNamed { try RowDecoding<(Int, Int)>.tuple().decodeAll(two) }
        try expectNamed { try RowDecoding<(Int, Int?)>.tuple().decodeAll(two) }
    }

    @Test func `is named in structs`() throws {
        try expectNamed { try RowDecoding<Price>.decodable.decodeAll(two) }
        try expectNamed { try RowDecoding<MaybePrice>.decodable.decodeAll(two) }
    }

    @Test func `is named in rows as they are`() throws {
        let rows = try RowDecoding<ResultRow>.row.decodeAll(two)
        #expect(try rows[0]["price", as: Int.self] == 5)
        try expectNamed { try rows[1]["price", as: Int.self] }
        try expectNamed { try rows[1][1, as: Int?.self] }
    }

    @Test func `is named in rows of a copy`() throws {
        let columns = RowColumns(names: ["id", "price"], types: [.int8, .text], isBinary: [true, true])
        let bytes = big(Int16(2)) + big(Int32(8)) + big(Int64(2)) + big(Int32(1)) + Array("x".utf8)
        let tuples = try RowDecoding<(Int, Int)>.tuple().makeDecoder(for: columns)
        let structs = try RowDecoding<Price>.decodable.makeDecoder(for: columns)
        try expectNamed(in: 7) { try bytes.withUnsafeBytes { try tuples.decode(copied: $0, row: 7) } }
        try expectNamed(in: 7) { try bytes.withUnsafeBytes { try structs.decode(copied: $0, row: 7) } }
    }

    @Test func `is named in the arrays, composites and JSON of its column`() throws {
        let array = try encoded([1 as Int?, nil])
        let missing = failure { try RowDecoding<[Int]>.scalar.decodeAll(result([("price", .int8Array)], [array])) }
        #expect(missing?.column == "price" && missing?.row == 0 && missing?.sqlType == .int8Array)
        #expect(missing?.reason == "element 1 of the array is NULL, and Int is not optional")
        let json = Array(#"{"id": 1, "price": "x"}"#.utf8)
        let wrong = failure { try RowDecoding<Holder>.decodable.decodeAll(result([("cost", .json)], [json])) }
        #expect(
            wrong?.column == "cost" && wrong?.row == 0
                && wrong?.reason == "its JSON does not fit: there is no Int at price")
        let fields =
            big(Int32(2)) + big(UInt32(20)) + big(Int32(8)) + big(Int64(1)) + big(UInt32(25)) + big(Int32(1)) + [0x78]
        let part = failure { try RowDecoding<Holder>.decodable.decodeAll(result([("cost", .record)], [fields])) }
        #expect(part?.column == "cost" && part?.row == 0 && part?.sqlType == .record)
        #expect(part?.reason == "field \"price\": the text does not read as Int")
    }

}

@Suite struct `Rows of a binary copy` {
    @Test func `decode like any other`() throws {
        let columns = RowColumns(names: ["id", "name"], types: [.int4, .text], isBinary: [true, true])
        let decoder = try RowDecoding<(Int, String?)>.tuple().makeDecoder(for: columns)
        let row = big(Int16(2)) + big(Int32(4)) + big(Int32(9)) + big(Int32(-1))
        let value = try row.withUnsafeBytes { try decoder.decode(copied: $0, row: 3) }
        #expect(value.0 == 9 && value.1 == nil)
        for count in 0..<row.count {
            #expect(failure { try row.prefix(count).withUnsafeBytes { try decoder.decode(copied: $0, row: 3) } } != nil)
        }
    }
}

import Foundation
import PostgresWire
import Testing

@testable import PostgresSessions

private struct Item: Codable, Table {
    static let tableName = "items"
    var id: Int
    var name: String
    var price: Double
}

private enum Mood: String, Codable { case happy, sad }
private enum Size: Int, Codable, CaseIterable { case small, large }
private struct Extra: Codable, Sendable { var note: String }

private struct Order: Codable, Table {
    static let tableName = "shop.order"
    var id: Int?
    var createdAt: Date
    var userID: UUID
    var size: Size
    var note: String?
    var extra: Extra
    var tags: [String]
}

private struct Moody: Codable, Table {
    static let tableName = "moody"
    var id: Int
    var mood: Mood
}

private struct Membership: Codable, Table {
    static let tableName = "membership"
    static let primaryKey = ["user_id", "group"]
    var userId: Int
    var group: Int
}

private struct Camel: Codable, Table {
    static let tableName = "Camel"
    static func columnName(forKey key: String) -> String { key }
    var id: Int
    var firstName: String
}

private struct Invoice: Codable, Table {
    static let tableName = "invoices"
    static let generatedColumns = ["gross", "created_at", "id"]
    var id: Int?
    var net: Double
    var gross: Double?
    var createdAt: Date?
}

private func refusal(_ q: SQLQuery) -> String? { reason { try q.validated() } }

@Suite struct `A table query` {
    @Test func `selects the columns of its struct`() {
        #expect(TableSQL<Item>().select.text == "SELECT id, name, price FROM items")
        #expect(
            TableSQL<Order>().select.text
                == #"SELECT id, created_at, user_id, size, note, extra, tags FROM shop."order""#)
        #expect(TableSQL<Camel>().select.text == #"SELECT id, "firstName" FROM "Camel""#)
    }

    @Test func `selects everything where the struct cannot say its columns`() {
        #expect(TableSQL<Moody>().select.text == "SELECT * FROM moody")
    }

    @Test func `puts conditions, order, bounds and locks in their places`() {
        var sql = TableSQL<Item>()
        sql.filter("price < \(10)")
        sql.filter("name = \("a") OR name = \("b")")
        sql.order(by: "name")
        sql.order(by: "price DESC")
        sql.limit(20)
        sql.offset(40)
        sql.lock(.skipLocked)
        #expect(
            sql.select.text == "SELECT id, name, price FROM items WHERE (price < $1) AND (name = $2 OR name = $3)"
                + " ORDER BY name, price DESC LIMIT $4 OFFSET $5 FOR UPDATE SKIP LOCKED")
        #expect(sql.select.parameters.count == 5)
    }

    @Test func `counts and asks for existence`() {
        var sql = TableSQL<Item>()
        #expect(sql.count.text == "SELECT count(*) FROM items")
        sql.filter("price < \(10)")
        sql.order(by: "name")
        #expect(sql.count.text == "SELECT count(*) FROM items WHERE price < $1")
        #expect(sql.exists.text == "SELECT EXISTS (SELECT 1 FROM items WHERE price < $1)")
        sql.limit(5)
        #expect(sql.count.text == "SELECT count(*) FROM (SELECT 1 FROM items WHERE price < $1 LIMIT $2) AS counted")
    }

    @Test func `gets by primary key`() {
        #expect(TableSQL<Item>.get(id: 7).text == "SELECT id, name, price FROM items WHERE id = $1")
        #expect(refusal(TableSQL<Membership>.get(id: 7)) != nil)
    }

    private struct Keyless: Codable, Table {
        static let tableName = "keyless"
        static let primaryKey: [String] = []
        var id: Int
    }

    @Test func `says where there is no primary key to go by`() {
        let row = Keyless(id: 1)
        let refused = [
            TableSQL<Keyless>.get(id: 1), TableSQL<Keyless>.upsert(row), TableSQL<Keyless>.update(row),
            TableSQL<Keyless>.delete(row),
        ]
        for query in refused { #expect(refusal(query)?.contains("primary key") == true) }
    }
}

@Suite struct `A table's rows` {
    private let item = Item(id: 7, name: "a", price: 1.5)

    @Test func `are inserted and come back`() {
        let q = TableSQL<Item>.insert(item)
        #expect(q.text == "INSERT INTO items (id, name, price) VALUES ($1, $2, $3) RETURNING id, name, price")
        #expect(q.parameters.parameters.map(\.oid) == [20, 0, 701])
    }

    @Test func `leave a nil key to its default, and say NULL for other nils`() {
        let order = Order(
            id: nil, createdAt: .now, userID: UUID(), size: .large, note: nil, extra: Extra(note: "x"), tags: ["a"])
        let q = TableSQL<Order>.insert(order)
        #expect(
            q.text.hasPrefix(#"INSERT INTO shop."order" (created_at, user_id, size, note, extra, tags) VALUES ($1,"#))
        #expect(q.parameters.parameters.map(\.oid) == [1184, 2950, 20, 0, 3802, 0])
        #expect(q.parameters.parameters[3].length == -1)
        #expect(refusal(q) == nil)
        #expect(refusal(TableSQL<Order>.update(order))?.contains("primary key") == true)
    }

    @Test func `are updated, deleted and upserted by key`() {
        #expect(TableSQL<Item>.update(item).text == "UPDATE items SET name = $1, price = $2 WHERE id = $3")
        #expect(TableSQL<Item>.delete(item).text == "DELETE FROM items WHERE id = $1")
        #expect(
            TableSQL<Item>.upsert(item).text == "INSERT INTO items (id, name, price) VALUES ($1, $2, $3)"
                + " ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, price = EXCLUDED.price RETURNING id, name, price"
        )
        let member = Membership(userId: 1, group: 2)
        #expect(
            TableSQL<Membership>.delete(member).text == #"DELETE FROM membership WHERE user_id = $1 AND "group" = $2"#)
        #expect(
            TableSQL<Membership>.upsert(member).text.contains(
                #"ON CONFLICT (user_id, "group") DO UPDATE SET user_id ="#))
    }

    @Test func `bind enums as their raw values`() throws {
        let q = TableSQL<Moody>.insert(Moody(id: 1, mood: .sad))
        #expect(q.text == "INSERT INTO moody (id, mood) VALUES ($1, $2) RETURNING *")
        #expect(q.parameters.bytes.suffix(4) == Array("sad".utf8) + [0])
    }

    @Test func `reads what the server fills, and never writes it`() {
        let row = Invoice(id: 7, net: 10, gross: 12, createdAt: .now)
        #expect(
            TableSQL<Invoice>.insert(row).text
                == "INSERT INTO invoices (id, net) VALUES ($1, $2) RETURNING id, net, gross, created_at")
        #expect(
            TableSQL<Invoice>.upsert(row).text == """
                INSERT INTO invoices (id, net) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET net = EXCLUDED.net \
                RETURNING id, net, gross, created_at
                """)
        #expect(TableSQL<Invoice>.update(row).text == "UPDATE invoices SET net = $1 WHERE id = $2")
    }
}

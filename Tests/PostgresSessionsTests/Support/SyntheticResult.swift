import CLibPQ
import Foundation

@testable import PostgresSessions
@testable import PostgresWire

/// A result that no server made, column by column.
struct SyntheticResult {
    struct Column {
        var name: String
        var type: SQLType
        var isBinary = true
    }

    let wire: WireResult

    init(_ columns: [Column], rows: [[[UInt8]?]]) {
        let result = PQmakeEmptyPGresult(nil, PGRES_TUPLES_OK)!
        let names = columns.map { strdup($0.name)! }
        defer { names.forEach { free($0) } }
        var attributes = zip(columns, names).map { column, name in
            PGresAttDesc(
                name: name, tableid: 0, columnid: 0, format: column.isBinary ? 1 : 0, typid: column.type.rawValue,
                typlen: -1, atttypmod: -1)
        }
        precondition(PQsetResultAttrs(result, Int32(columns.count), &attributes) == 1)
        for (row, cells) in rows.enumerated() {
            for (column, cell) in cells.enumerated() {
                var bytes = (cell ?? []).map { CChar(bitPattern: $0) }
                let length = cell == nil ? -1 : Int32(bytes.count)
                bytes.append(0)
                precondition(PQsetvalue(result, Int32(row), Int32(column), &bytes, length) == 1)
            }
        }
        wire = WireResult(result)
        wire.attach(RowColumns(of: wire, knowing: Invented.catalog))
    }

    /// One column of one type, one row per cell.
    init(_ type: SQLType, isBinary: Bool = true, name: String = "value", _ cells: [[UInt8]?]) {
        self.init([Column(name: name, type: type, isBinary: isBinary)], rows: cells.map { [$0] })
    }
}

/// The binary form of an integer.
func big<I: FixedWidthInteger>(_ value: I) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

/// The types of a database that no server has.
enum Invented {
    static let mood = SQLType(rawValue: 70_000)
    static let moods = SQLType(rawValue: 70_001)
    static let parts = SQLType(rawValue: 70_002)
    static let partsArray = SQLType(rawValue: 70_003)
    static let hstore = SQLType(rawValue: 70_004)
    static let address = SQLType(rawValue: 70_005)
    /// A domain over one over int4.
    static let positive = SQLType(rawValue: 70_006)
    static let count = SQLType(rawValue: 70_007)
    static let span = SQLType(rawValue: 70_008)
    static let spans = SQLType(rawValue: 70_009)
    static let opaque = SQLType(rawValue: 70_010)
    static let cube = SQLType(rawValue: 70_011)
    static let path = SQLType(rawValue: 70_012)
    static let nest = SQLType(rawValue: 70_013)
    static let unknown = SQLType(rawValue: 70_099)

    static let catalog = TypeCatalog([
        mood: .init("mood", .alias(.text)), moods: .init("mood[]", .array(of: mood, delimiter: 44)),
        parts: .init("parts", .composite, fields: [.int8, .text, .int8Array, .timestamptz]),
        partsArray: .init("parts[]", .array(of: parts, delimiter: 44)), hstore: .init("hstore", .hstore),
        address: .init("address", .composite, fields: [.text, positive, .text]),
        positive: .init("positive", .alias(count)),
        count: .init("count", .alias(.int4)), span: .init("span", .range(of: positive)),
        spans: .init("spans", .multirange(of: span)), opaque: .init("shop.opaque", .opaque),
        cube: .init("cube", .cube), path: .init("ltree", .versionedText),
        nest: .init("nest", .composite, fields: [parts, partsArray]),
    ])

    static func cell(_ bytes: UnsafeRawBufferPointer, _ type: SQLType, isBinary: Bool = true) -> SQLCell {
        SQLCell(bytes: bytes, type: catalog.canonical(type), form: SQLCellForm(isBinary: isBinary, catalog))
    }
}

/// Decodes bytes that are said to be of a type.
func decode<V: SQLDecodable>(_ type: V.Type, _ sqlType: SQLType, _ bytes: [UInt8], isBinary: Bool = true) throws -> V {
    try bytes.withUnsafeBytes { try V(sqlCell: Invented.cell($0, sqlType, isBinary: isBinary)) }
}

/// Decodes text, as an unknown literal of a statement arrives.
func decode<V: SQLDecodable>(_ type: V.Type, text: String) throws -> V {
    try decode(type, .text, Array(text.utf8))
}

/// What binding a value would send.
func encoded<V: SQLEncodable>(_ value: V) throws -> [UInt8] {
    var buffer = SQLEncodingBuffer()
    try value.encode(into: &buffer)
    return buffer.bytes
}

/// The reason for which something refuses.
func reason(_ body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch {
        return (error as? SQLValueError)?.reason ?? String(describing: error)
    }
}

import Foundation
import Synchronization
import Testing

@testable import PostgresSessions

/// A type of a user's own; counts how many of it there are.
private final class Tracked: SQLDecodable {
    static let alive = Atomic<Int>(0)
    let text: String

    init(sqlCell: SQLCell) throws {
        text = try String(sqlCell: sqlCell)
        Self.alive.add(1, ordering: .relaxed)
    }

    deinit { Self.alive.subtract(1, ordering: .relaxed) }
}

/// Elements of many sizes, of types that the decoder knows and of others, in an order that leaves gaps between them.
private typealias Mixed = (
    Bool, Int, Int32?, String, UUID, Tracked, Date?, Bool?, Int64, Double, Tracked?, String?, UUID?, Int?, Double?,
    Int64?, Int16, Int32, Date, Float?
)

@Suite(.serialized) struct `A tuple of many types` {
    private static let uuid = UUID()
    private static let moment = Date(timeIntervalSinceReferenceDate: 1234.5)
    private static let long = String(repeating: "long ", count: 10)

    /// Each column's type, and its bytes; from the values that the elements shall have.
    private static func cells() throws -> [(type: SQLType, bytes: [UInt8]?)] {
        [
            (.bool, try encoded(true)), (.int8, try encoded(-5)), (.int4, try encoded(Int32(7))),
            (.text, Array(long.utf8)), (.uuid, try encoded(uuid)), (.text, Array((long + "!").utf8)),
            (.timestamptz, try encoded(moment)), (.bool, try encoded(false)), (.int8, try encoded(Int64.max)),
            (.float8, try encoded(0.5)), (.text, Array("tracked".utf8)), (.text, Array(long.utf8)),
            (.uuid, try encoded(uuid)), (.int8, try encoded(Int.min)), (.float8, try encoded(-0.25)),
            (.int8, try encoded(Int64(3))), (.int2, try encoded(Int16(-2))), (.int4, try encoded(Int32.min)),
            (.timestamptz, try encoded(moment)), (.float4, try encoded(Float(1.5))),
        ]
    }

    private static func isOptional(_ column: Int) -> Bool { [2, 6, 7, 10, 11, 12, 13, 14, 15, 19].contains(column) }

    private static func decoder() throws -> RowDecoder<Mixed> {
        let types = try cells().map(\.type)
        let columns = RowColumns(
            names: types.indices.map { "c\($0)" }, types: types, isBinary: types.map { _ in true })
        return try RowDecoding<Mixed>.tuple().makeDecoder(for: columns)
    }

    private static func row(_ cells: [(type: SQLType, bytes: [UInt8]?)]) -> [UInt8] {
        cells.reduce(into: big(Int16(cells.count))) { row, cell in
            row += big(Int32(cell.bytes?.count ?? -1)) + (cell.bytes ?? [])
        }
    }

    @Test func `has each value in its place, NULL or not`() throws {
        do {
            let decoder = try Self.decoder()
            let full = try Self.row(Self.cells()).withUnsafeBytes { try decoder.decode(copied: $0, row: 0) }
            #expect(full.0 && full.1 == -5 && full.2 == 7 && full.3 == Self.long && full.4 == Self.uuid)
            #expect(full.5.text == Self.long + "!" && full.6 == Self.moment && full.7 == false && full.8 == .max)
            #expect(full.9 == 0.5 && full.10?.text == "tracked" && full.11 == Self.long && full.12 == Self.uuid)
            #expect(full.13 == .min && full.14 == -0.25 && full.15 == 3 && full.16 == -2 && full.17 == .min)
            #expect(full.18 == Self.moment && full.19 == 1.5)
            let sparse = try Self.cells().enumerated().map {
                ($1.type, Self.isOptional($0) ? nil : $1.bytes)
            }
            let rest = try Self.row(sparse).withUnsafeBytes { try decoder.decode(copied: $0, row: 1) }
            #expect(rest.0 && rest.1 == -5 && rest.2 == nil && rest.3 == Self.long && rest.4 == Self.uuid)
            #expect(rest.5.text == Self.long + "!" && rest.6 == nil && rest.7 == nil && rest.8 == .max)
            #expect(rest.9 == 0.5 && rest.10 == nil && rest.11 == nil && rest.12 == nil && rest.13 == nil)
            #expect(rest.14 == nil && rest.15 == nil && rest.16 == -2 && rest.17 == .min)
            #expect(rest.18 == Self.moment && rest.19 == nil)
        }
        #expect(Tracked.alive.load(ordering: .relaxed) == 0)
    }

    /// What was made of the row before is gone again.
    @Test func `names the column that does not fit, and keeps nothing`() throws {
        let decoder = try Self.decoder()
        for column in try Self.cells().indices {
            for isNull in [false, true] where !isNull || !Self.isOptional(column) {
                var cells = try Self.cells()
                cells[column].bytes = isNull ? nil : [0xFF, 0xFF, 0xFF]
                let wrong = failure { try Self.row(cells).withUnsafeBytes { try decoder.decode(copied: $0, row: 3) } }
                #expect(wrong?.column == "c\(column)" && wrong?.row == 3)
            }
        }
        #expect(Tracked.alive.load(ordering: .relaxed) == 0)
    }
}

import Foundation
import PoolCore
import Testing

@testable import PostgresSessions

private struct Parts: Decodable, SQLDecodable {
    var a: Int
    var b: String?
    var c: [Int]?
}
private enum Mood: String, Decodable, SQLDecodable { case happy, sad }

@Suite struct `Random bytes` {
    private static let types: [SQLType] =
        [
            .bool, .bytea, .char, .name, .int8, .int2, .int4, .text, .oid, .json, .xml, .point, .lseg, .path, .box,
            .polygon, .line,
            .cidr, .float4, .float8, .circle, .macaddr8, .money, .macaddr, .inet, .bpchar, .varchar, .date, .time,
            .timestamp,
            .timestamptz, .interval, .timetz, .bit, .varbit, .numeric, .uuid, .jsonb, .xid8, .int4range, .numrange,
            .tstzrange,
            .int8multirange, .tsmultirange, .record, .int8Array, .textArray, .numericArray, .boxArray,
            .timestamptzArray,
            SQLType(rawValue: 70_000), SQLType(rawValue: 3),
        ] + [22, 24, 27, 30, 3220, 3614, 2970, 4072, 1790, 2278, 3643, 1010].map { SQLType(rawValue: $0) }

    private static var targets: [any SQLDecodable.Type] {
        [
            Bool.self, Int.self, Int8.self, UInt64.self, Float.self, Double.self, Decimal.self, String.self,
            [UInt8].self,
            Data.self,
            UUID.self, Date.self, [Int].self, [[String?]].self, [Double?].self, [Date].self, SQLDate.self, SQLTime.self,
            SQLTimeWithZone.self, SQLInterval.self, Duration.self, SQLRange<Int>.self, SQLRange<Decimal>.self,
            SQLRange<Date>.self,
            SQLMultirange<Int>.self, SQLInet.self, SQLMACAddress.self, SQLBits.self, SQLMoney.self, SQLPoint.self,
            SQLLine.self,
            SQLPath.self, SQLPolygon.self, SQLBox.self, SQLCircle.self, SQLHStore.self, Parts.self, [Parts].self,
            Mood.self,
            Character.self, Substring.self, [[[Int]]].self, SQLLineSegment.self,
        ]
    }

    /// Bytes that look like something: small counts, known types, digits, braces.
    private static func bytes(_ generator: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...8, using: &generator) {
            switch Int.random(in: 0...6, using: &generator) {
            case 0: bytes += big(Int32.random(in: -2...4, using: &generator))
            case 1: bytes += big(types.randomElement(using: &generator)!.rawValue)
            case 2: bytes += big(Int64.random(in: .min ... .max, using: &generator))
            case 3: bytes += Array("{1,\"a\\\",NULL}[:]=-+.e9TBC 2020-01-01".utf8.shuffled(using: &generator).prefix(6))
            case 4: bytes += big(Int16.random(in: -1...3, using: &generator))
            case 5: bytes.append(UInt8.random(in: 0...255, using: &generator))
            default: bytes += [0, 0, 0, 1, 0, 0, 0, 0]
            }
        }
        return bytes
    }

    /// PGS_FUZZ_ROUNDS=… runs longer; a trap or an over-read ends the process, which is the failure.
    @Test(arguments: 0..<4) func `into every decoder give a value or an error, never a trap`(shard: Int) throws {
        let rounds = ProcessInfo.processInfo.environment["PGS_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 20_000
        var generator = SeededGenerator(seed: UInt64(shard))
        let targets = Self.targets
        var values = 0
        for _ in 0..<rounds {
            let bytes = Self.bytes(&generator)
            let type = Self.types.randomElement(using: &generator)!
            let target = targets.randomElement(using: &generator)!
            let isBinary = Int.random(in: 0...4, using: &generator) > 0
            // The bytes end where their memory ends, so that an over-read is one of the heap, which the sanitizer sees.
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
            defer { memory.deallocate() }
            memory.copyBytes(from: bytes)
            let cell = SQLCell(bytes: UnsafeRawBufferPointer(memory), type: type, isBinary: isBinary)
            if (try? target.init(sqlCell: cell)) != nil { values += 1 }
        }
        #expect(values > rounds / 100, "hardly anything decodes: the bytes are too random")
    }

    /// A row of COPY's binary format, as it could never come.
    @Test func `into rows of COPY give a row or an error, never a trap`() throws {
        let rounds = ProcessInfo.processInfo.environment["PGS_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 20_000
        var generator = SeededGenerator(seed: 99)
        let columns = RowColumns(
            names: ["a", "b", "c"], types: [.int8, .text, .int8Array], isBinary: [true, true, true])
        let tuples = try RowDecoding<(Int?, String?, [Int?]?)>.tuple().makeDecoder(for: columns)
        let structs = try RowDecoding<Parts>.decodable.makeDecoder(for: columns)
        var rows = 0
        for round in 0..<rounds {
            var bytes = big(Int16.random(in: 2...3, using: &generator))
            for _ in 0..<3 {
                switch Int.random(in: 0...3, using: &generator) {
                case 0: bytes += big(Int32(-1))  // NULL
                case 1: bytes += big(Int32(8)) + big(Int64(round))
                default:
                    let field = Self.bytes(&generator)
                    let isHonest = Int.random(in: 0...9, using: &generator) > 0
                    bytes += big(isHonest ? Int32(field.count) : Int32.random(in: -2...99, using: &generator)) + field
                }
            }
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
            defer { memory.deallocate() }
            memory.copyBytes(from: bytes)
            let row = UnsafeRawBufferPointer(memory)
            if (try? tuples.decode(copied: row, row: round)) != nil { rows += 1 }
            if (try? structs.decode(copied: row, row: round)) != nil { rows += 1 }
        }
        #expect(rows > 0, "nothing decodes: the bytes are too random")
    }
}

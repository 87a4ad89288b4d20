import Foundation
import PoolCore
import Testing

@testable import PostgresSessions

/// `FULL_SIZE=1` in the environment: ten million inputs, for minutes. A trap or an over-read ends the process, which is the
/// failure; AddressSanitizer sees over-reads, since every input ends where its memory ends.
private let isFullSize = ProcessInfo.processInfo.environment["FULL_SIZE"].map { !$0.isEmpty && $0 != "0" } ?? false
private let shards = 4

private func withExactly<R>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> R) -> R {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { memory.deallocate() }
    memory.copyBytes(from: bytes)
    return body(UnsafeRawBufferPointer(memory))
}

/// Whether the cell decodes; what it decodes to is sent back where that is possible, which may throw and not trap.
private func decodes<V: SQLDecodable>(_ type: V.Type, _ cell: SQLCell) -> Bool {
    guard let value = try? V(sqlCell: cell) else { return false }
    if let value = value as? any SQLEncodable { _ = try? encoded(value) }
    return true
}

@Suite struct `Random and damaged bytes` {
    private static let rounds = (isFullSize ? 10_000_000 : 200_000) / shards

    @Test func `come from valid ones, each read by its own decoder`() throws {
        for seed in try FuzzInputs().seeds {
            let isValue = withExactly(seed.bytes) { decodes(seed.target, seed.cell($0)) }
            #expect(isValue, "\(seed.type) as \(seed.target): \(String(decoding: seed.bytes, as: UTF8.self))")
        }
    }

    @Test(arguments: 0..<shards) func `into every decoder give a value or an error, never a trap`(shard: Int) throws {
        let inputs = try FuzzInputs()
        var generator = SeededGenerator(seed: UInt64(shard))
        var (values, errors): (Set<ObjectIdentifier>, Set<ObjectIdentifier>) = ([], [])
        let start = ContinuousClock.now
        for _ in 0..<Self.rounds {
            let input = inputs.next(&generator)
            let target = ObjectIdentifier(input.target)
            let isValue = withExactly(input.bytes) { decodes(input.target, input.cell($0)) }
            if isValue { values.insert(target) } else { errors.insert(target) }
        }
        func without(_ seen: Set<ObjectIdentifier>) -> [any SQLDecodable.Type] {
            inputs.targets.filter { !seen.contains(ObjectIdentifier($0)) }
        }
        #expect(without(values).isEmpty, "these never gave a value")
        #expect(without(errors).isEmpty, "these never gave an error")
        report(Self.rounds, "decoders", start)
    }

    @Test(arguments: 0..<shards) func `into rows of a binary COPY give a row or an error, never a trap`(shard: Int)
        throws
    {
        let inputs = try FuzzInputs()
        var generator = SeededGenerator(seed: UInt64(100 + shard))
        let columns = RowColumns(
            names: ["a", "b", "c", "at"], types: [.int8, .text, .int8Array, .timestamptz],
            isBinary: Array(repeating: true, count: 4))
        let tuples = try RowDecoding<(Int?, String?, [Int?]?, Date?)>.tuple().makeDecoder(for: columns)
        let structs = try RowDecoding<FuzzParts>.decodable.makeDecoder(for: columns)
        var (rows, errors) = (0, 0)
        let start = ContinuousClock.now
        for round in 0..<Self.rounds / 10 {
            let bytes = inputs.nextRow(&generator)
            withExactly(bytes) { row in
                if (try? tuples.decode(copied: row, row: round)) != nil { rows += 1 } else { errors += 1 }
                if (try? structs.decode(copied: row, row: round)) != nil { rows += 1 } else { errors += 1 }
            }
        }
        #expect(rows > Self.rounds / 100 && errors > Self.rounds / 100)
        report(Self.rounds / 10, "rows of COPY", start)
    }

    private func report(_ count: Int, _ what: String, _ start: ContinuousClock.Instant) {
        if isFullSize { print("FULL_SIZE: \(count) inputs for the \(what) in \(ContinuousClock.now - start)") }
    }
}

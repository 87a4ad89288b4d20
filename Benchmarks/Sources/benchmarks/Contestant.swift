import CBaselines
import Foundation
import PostgresSessions

/// Who takes part. Each measures itself in a process of its own, so that CPU time is the client's alone.
enum Contestant: String, CaseIterable {
    case engineSelect = "engine-select"
    case plainSelect = "plain-select"
    case pgbenchSelect = "pgbench-select"
    case threadsSelect = "threads-select"
    case engineTransaction = "engine-transaction"
    case plainTransaction = "plain-transaction"
    case pipelinedTransaction = "pipelined-transaction"
    case blockingTransaction = "blocking-transaction"
    case engineCheckout = "engine-checkout"
    case bareCheckout = "bare-checkout"
    case calmLoad = "calm-load"
    case cancelledLoad = "cancelled-load"
    case engineStructs = "engine-structs"
    case engineTuples = "engine-tuples"
    case wholeRows = "whole-rows"
    case engineStream = "engine-stream"
    case singleRows = "single-rows"
    case engineCopyIn = "engine-copy-in"
    case psqlCopyIn = "psql-copy-in"
    case engineCopyOut = "engine-copy-out"
    case psqlCopyOut = "psql-copy-out"
    case engineInserts = "engine-inserts"
    case pipelinedInserts = "pipelined-inserts"

    /// Runs in this process.
    func measure(_ task: EngineContestant) async throws -> Measurement {
        switch self {
        case .engineSelect: try await task.select(onEngine: true)
        case .plainSelect: try await task.select(onEngine: false)
        case .engineTransaction: try await task.transaction(onEngine: true)
        case .plainTransaction: try await task.transaction(onEngine: false)
        case .engineCheckout: try await task.checkout()
        case .calmLoad: try await task.load(cancelling: false)
        case .cancelledLoad: try await task.load(cancelling: true)
        case .bareCheckout:
            try await BarePool.checkout(
                clients: task.clients, connections: task.connections, seconds: task.seconds,
                executor: try Engine(url: task.url).executor)
        case .pgbenchSelect: try PgBench.measure(task)
        case .threadsSelect: try Self.baseline(BASELINE_SELECT, task)
        case .engineStructs: try await task.readStructs()
        case .engineTuples: try await task.readTuples()
        case .engineStream: try await task.streamStructs()
        case .engineCopyIn: try await task.copyIn()
        case .engineCopyOut: try await task.copyOut()
        case .engineInserts: try await task.insertBatch()
        case .psqlCopyIn: try Lines.psql(into: true, task)
        case .psqlCopyOut: try Lines.psql(into: false, task)
        case .wholeRows: try Self.bulk(BASELINE_READ_WHOLE, task)
        case .singleRows: try Self.bulk(BASELINE_READ_SINGLY, task)
        case .pipelinedInserts: try Self.bulk(BASELINE_INSERT, task)
        case .pipelinedTransaction: try Self.baseline(BASELINE_TRANSACTION_PIPELINED, task)
        case .blockingTransaction: try Self.baseline(BASELINE_TRANSACTION_BLOCKING, task)
        }
    }

    private static func baseline(_ work: baseline_work, _ task: EngineContestant) throws -> Measurement {
        try measure { result, error, size in
            baseline_run(
                work, task.url, Int32(task.connections), Int32(task.accounts), task.seconds, result, error, size)
        }
    }

    private static func bulk(_ work: baseline_bulk_work, _ task: EngineContestant) throws -> Measurement {
        try measure { result, error, size in
            baseline_bulk(work, task.url, Int32(Lines.inserted), task.seconds, result, error, size)
        }
    }

    private static func measure(
        _ run: (UnsafeMutablePointer<baseline_measurement>, UnsafeMutablePointer<CChar>, Int32) -> Int32
    ) throws -> Measurement {
        var result = baseline_measurement()
        var error = [CChar](repeating: 0, count: 1024)
        let status = error.withUnsafeMutableBufferPointer { run(&result, $0.baseAddress!, Int32($0.count)) }
        guard status == 0 else {
            let message = String(decoding: error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw BenchmarkError("the C baseline failed: \(message)")
        }
        return Measurement(
            operations: Int(result.operations), wallNanoseconds: Double(result.wall_nanoseconds),
            cpuNanoseconds: Double(result.cpu_nanoseconds))
    }
}

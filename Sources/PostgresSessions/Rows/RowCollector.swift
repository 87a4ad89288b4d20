internal import PostgresWire

/// Decodes a statement's rows as they come.
///
/// For one statement of one task.
final class RowCollector<T>: RowSink, @unchecked Sendable {
    // Proof: the task that has made it waits for its statement while rows are taken, by itself.
    private let decoding: RowDecoding<T>
    @exclusivity(unchecked) private var decoder: RowDecoder<T>?
    @exclusivity(unchecked) private(set) var count = 0
    /// Why a row could not be decoded; those after it are dropped.
    @exclusivity(unchecked) private var failure: EngineError?
    /// The statement was cancelled while rows came.
    @exclusivity(unchecked) private var isIncomplete = false
    @exclusivity(unchecked) private var places = UnsafeMutableBufferPointer<T>(start: nil, count: 0)

    init(_ decoding: RowDecoding<T>) { self.decoding = decoding }

    deinit { reset() }

    private func reset() {
        places.prefix(count).deinitialize()
        places.deallocate()
        places = UnsafeMutableBufferPointer(start: nil, count: 0)
        (count, failure, decoder, isIncomplete) = (0, nil, nil, false)
    }

    func begin(expecting expected: Int) {
        reset()
        if expected > 0 { places = .allocate(capacity: expected) }
    }

    func take(_ rows: WireResult) {
        guard failure == nil else { return }
        do throws(EngineError) {
            let decoder = if let decoder { decoder } else { try decoding.decoder(for: rows) }
            self.decoder = decoder
            let arrived = rows.rowCount
            if count + arrived > places.count { grow(to: count + arrived) }
            decoder.rowsBefore = count
            for row in 0..<arrived {
                try decoder.decode(rows, row: row, into: places.baseAddress! + count)
                count += 1
            }
        } catch {
            failure = error
        }
    }

    func drop(_ rows: WireResult) { isIncomplete = true }

    @inline(never)
    private func grow(to needed: Int) {
        let larger = UnsafeMutableBufferPointer<T>.allocate(capacity: max(needed, 2 * places.count, 64))
        if count > 0 { _ = larger.moveInitialize(fromContentsOf: places.prefix(count)) }
        places.deallocate()
        places = larger
    }

    /// What was taken; where there was nothing to take, what the result itself has.
    func rows(andThoseOf result: WireResult) throws -> sending [T] {
        if isIncomplete {
            // The statement had come to its end before the cancellation reached it.
            try Task.checkCancellation()
            throw EngineError.statementTimedOut("its time was up while its rows came")
        }
        if let failure { throw failure }
        guard count > 0 else { return try decoding.rows(of: result) }
        return [T](unsafeUninitializedCapacity: count) { taken, moved in
            _ = taken.moveInitialize(fromContentsOf: places.prefix(count))
            moved = count
            count = 0
        }
    }
}

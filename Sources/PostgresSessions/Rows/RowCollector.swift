internal import PostgresWire

/// Decodes a statement's rows as they come.
///
/// For one statement of one task.
final class RowCollector<T>: TypedRowSink, @unchecked Sendable {
    // Proof: the task that has made it waits for its statement while rows are taken, by itself.
    private let decoding: RowDecoding<T>
    @exclusivity(unchecked) private var decoder: RowDecoder<T>?
    /// `decoder`, which lives until `begin`: it need not be counted while it decodes.
    @exclusivity(unchecked) private var current: Unmanaged<RowDecoder<T>>?
    @exclusivity(unchecked) private(set) var count = 0
    /// Why a row could not be decoded; those after it are dropped.
    @exclusivity(unchecked) private var failure: EngineError?
    /// The statement was cancelled while rows came.
    @exclusivity(unchecked) private var isIncomplete = false
    /// The last rows, decoded where they stay in the processor's cache; the array takes over many at once.
    @exclusivity(unchecked) private var batch = UnsafeMutableBufferPointer<T>(start: nil, count: 0)
    @exclusivity(unchecked) private var batched = 0
    @exclusivity(unchecked) private var rows: [T] = []
    @exclusivity(unchecked) private var types: TypeCatalog?
    @exclusivity(unchecked) private(set) var kept: KeptRows?

    init(_ decoding: RowDecoding<T>) { self.decoding = decoding }

    deinit {
        batch.prefix(batched).deinitialize()
        batch.deallocate()
    }

    func begin(expecting expected: Int, knowing types: TypeCatalog) {
        self.types = types
        kept = nil
        batch.prefix(batched).deinitialize()
        (count, batched, failure, current, decoder, isIncomplete) = (0, 0, nil, nil, nil, false)
        rows = []
        if expected > 0 { rows.reserveCapacity(expected) }
    }

    func take(_ rows: WireResult) {
        guard failure == nil else { return }
        if current == nil { makeDecoder(for: rows) }
        if kept != nil { return keep(rows) }
        current?._withUnsafeGuaranteedRef { decoder in
            decoder.rowsBefore = count
            for row in 0..<rows.rowCount {
                if batched == batch.count { makeRoom() }
                do throws(EngineError) {
                    try decoder.decode(rows, row: row, into: batch.baseAddress! + batched)
                } catch {
                    failure = error
                    return
                }
                batched += 1
                count += 1
            }
        }
    }

    @inline(never)
    private func makeDecoder(for rows: WireResult) {
        guard kept == nil else { return }
        let columns = RowColumns(of: rows, knowing: types)
        guard columns.isKnown else {
            kept = KeptRows(columns)
            return
        }
        do throws(EngineError) {
            let decoder = try decoding.makeDecoder(for: columns)
            self.decoder = decoder
            current = .passUnretained(decoder)
        } catch {
            failure = error
        }
    }

    @inline(never)
    private func keep(_ rows: WireResult) {
        for row in 0..<rows.rowCount { kept?.append(rows, row: row) }
        count += rows.rowCount
    }

    func drop(_ rows: WireResult) { isIncomplete = true }

    @inline(never)
    private func makeRoom() {
        if batch.count == 0 { batch = .allocate(capacity: 64) } else { handOver() }
    }

    private func handOver() {
        let new = UnsafeMutableBufferPointer(start: batch.baseAddress, count: batched)
        // On Darwin, the standard library has it from the systems of 2025 on.
        #if compiler(>=6.3) && !canImport(Darwin)
            rows.append(addingCapacity: batched) { places in
                places.withUnsafeMutableBufferPointer { places, count in
                    if let place = places.baseAddress, let first = new.baseAddress {
                        place.moveInitialize(from: first, count: new.count)
                        count = new.count
                    }
                }
            }
        #else
            rows.append(contentsOf: new)
            new.deinitialize()
        #endif
        batched = 0
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
        if let kept { return try decoding.rows(of: kept) }
        handOver()
        var taken: [T] = []
        swap(&taken, &rows)
        return taken
    }
}

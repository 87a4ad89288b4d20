internal import PostgresWire

/// Rows that cannot be decoded yet, in the form of COPY's: they came before what their types are was known.
final class KeptRows: @unchecked Sendable {
    // Proof: filled by the task that waits for its statement, and read by it afterwards.
    let columns: RowColumns
    @exclusivity(unchecked) private var bytes = SQLEncodingBuffer()
    @exclusivity(unchecked) private var ends: [Int] = []

    init(_ columns: RowColumns) { self.columns = columns }

    var count: Int { ends.count }

    func append(_ result: WireResult, row: Int) {
        bytes.append(bigEndian: Int16(truncatingIfNeeded: columns.count))
        for column in 0..<columns.count {
            guard let cell = result.cell(row: row, column: column) else {
                bytes.append(bigEndian: Int32(-1))
                continue
            }
            bytes.append(bigEndian: Int32(truncatingIfNeeded: cell.count))
            bytes.append(cell)
        }
        ends.append(bytes.count)
    }

    /// Every row, with its number.
    func forEach<E: Error>(_ body: (UnsafeRawBufferPointer, Int) throws(E) -> Void) throws(E) {
        var failure: E?
        bytes.bytes.withUnsafeBytes { all in
            var start = 0
            for (index, end) in ends.enumerated() {
                do throws(E) {
                    try body(UnsafeRawBufferPointer(rebasing: all[start..<end]), index)
                } catch {
                    failure = error
                    return
                }
                start = end
            }
        }
        if let failure { throw failure }
    }
}

extension RowDecoding {
    /// Rows that were kept, now that what they need to know has been learned.
    func rows(of kept: KeptRows) throws(EngineError) -> sending [T] {
        let decoder = try makeDecoder(for: kept.columns)
        var rows: [T] = []
        rows.reserveCapacity(kept.count)
        try kept.forEach { row, index throws(EngineError) in
            rows.append(try decoder.decode(copied: row, row: index))
        }
        return rows
    }
}

/// Takes a statement's rows as they come, and may have to wait for what their types are.
protocol TypedRowSink: RowSink {
    /// A flight sets out that may bring rows, on a connection that knows these types; it may be sent again, and then all before
    /// was in vain.
    func begin(expecting count: Int, knowing types: TypeCatalog)
    /// What was not decoded while it came.
    var kept: KeptRows? { get }
}

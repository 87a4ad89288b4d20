/// Bytes on their way in one direction, each piece with the time before which it may not go on. Pure: the time is an
/// argument. Order is kept even when the delay becomes shorter while bytes are on their way.
struct DelayedBytes {
    private struct Piece {
        var bytes: [UInt8]
        var due: Int64
    }

    private var pieces: [Piece] = []
    private var head = 0  // index of the first piece that has not gone entirely
    private var sent = 0  // bytes of the first piece that have gone
    private var lastDue: Int64 = .min
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// When the first byte may go on; nil when there is none.
    var nextDue: Int64? { isEmpty ? nil : pieces[head].due }

    /// The time at which something that follows `due` may go on without overtaking what is here.
    mutating func ordered(_ due: Int64) -> Int64 {
        lastDue = max(lastDue, due)
        return lastDue
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer, due: Int64) {
        guard !bytes.isEmpty else { return }
        pieces.append(Piece(bytes: Array(bytes), due: ordered(due)))
        count += bytes.count
    }

    /// Lets `send` see the first piece, or `limit` bytes of it, and forgets as many bytes as it took.
    mutating func sendFirst(limit: Int, _ send: (UnsafeRawBufferPointer) -> Int) -> Int {
        guard !isEmpty, limit > 0 else { return 0 }
        let taken = pieces[head].bytes.withUnsafeBytes { all in
            send(UnsafeRawBufferPointer(rebasing: all[sent..<sent + min(limit, all.count - sent)]))
        }
        guard taken > 0 else { return taken }
        sent += taken
        count -= taken
        if sent == pieces[head].bytes.count {
            pieces[head].bytes = []
            sent = 0
            head += 1
            if head == pieces.count || head >= 64 {
                pieces.removeSubrange(..<head)
                head = 0
            }
        }
        return taken
    }

    mutating func removeAll() {
        pieces = []
        head = 0
        sent = 0
        count = 0
    }
}

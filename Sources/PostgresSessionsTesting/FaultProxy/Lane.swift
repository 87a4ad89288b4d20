#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// One direction of a proxied connection: bytes are read from `source`, wait for their time, and are written to `sink`.
/// Belongs to the proxy's thread.
final class Lane {
    let direction: FaultProxy.Direction
    var source: Int32
    var sink: Int32
    private(set) var bytes = DelayedBytes()
    private(set) var sourceEnded = false
    private(set) var finished = false  // the end has been passed on, or the sink takes nothing more
    private(set) var passed = 0  // bytes passed on since the proxy was last told to cut at a byte
    private var endDue: Int64 = 0  // when the source's end may be passed on
    var sinkIsFull = false  // the sink refused bytes; wait until it is writable

    private static let capacity = 256 * 1024

    init(_ direction: FaultProxy.Direction, source: Int32, sink: Int32) {
        self.direction = direction
        self.source = source
        self.sink = sink
    }

    var wantsToRead: Bool { !sourceEnded && bytes.count < Self.capacity }

    /// When there is something to do although no socket stirs.
    var nextDue: Int64? {
        if finished || sinkIsFull { return nil }
        return bytes.nextDue ?? (sourceEnded ? endDue : nil)
    }

    func countBytesFromHere() { passed = 0 }

    /// Reads what the source has, or its end, and puts that on its way. Returns what was read.
    func take(due: Int64, scratch: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer {
        let count = recv(source, scratch.baseAddress, min(scratch.count, Self.capacity - bytes.count), 0)
        if count < 0, errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR { return .init(start: nil, count: 0) }
        let piece = UnsafeRawBufferPointer(rebasing: scratch[..<max(0, count)])
        bytes.append(piece, due: due)
        if count <= 0 {
            sourceEnded = true
            endDue = bytes.ordered(due)
        }
        return piece
    }

    enum Passing {
        case bytes(Int)
        case nothing, broken
    }

    /// Writes the first bytes that are due, at most `limit`, or the end if it is due.
    func pass(now: Int64, limit: Int) -> Passing {
        guard !finished, !sinkIsFull else { return .nothing }
        guard let due = bytes.nextDue else {
            if sourceEnded, endDue <= now { finish() }
            return .nothing
        }
        guard due <= now else { return .nothing }
        let count = bytes.sendFirst(limit: limit) { [sink] in send(sink, $0.baseAddress, $0.count, sendFlags) }
        if count > 0 {
            passed += count
            return .bytes(count)
        }
        if errno == EINTR { return .bytes(0) }
        guard errno == EAGAIN || errno == EWOULDBLOCK else { return .broken }
        sinkIsFull = true
        return .nothing
    }

    /// Nothing more goes this way: the sink is told, and what is left is dropped.
    func finish() {
        guard !finished else { return }
        bytes.removeAll()
        sourceEnded = true
        finished = true
        _ = shutdown(sink, Int32(SHUT_WR))
    }
}

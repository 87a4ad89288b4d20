/// Rows that were decoded ahead of their reader, where they stay in the processor's cache: few, and never a long row beside
/// another, so that memory stays bounded.
///
/// Taking a row is inlined into the reader's own loop, where its type is known: else each row is moved several times by the
/// runtime, which must look the row's type up to do so.
@usableFromInline
struct DecodedRows<Element> {
    /// Initialized from `first` up to `end`.
    @usableFromInline var places: UnsafeMutablePointer<Element>
    @usableFromInline var first = 0
    @usableFromInline var end = 0
    /// The bytes that the rows came in.
    private var size = 0

    private var capacity: Int { 64 }
    private var largestSize: Int { 1 << 16 }

    /// To be ended with `deallocate`.
    init() { places = .allocate(capacity: 64) }

    func deallocate() {
        (places + first).deinitialize(count: end - first)
        places.deallocate()
    }

    /// The next row; nil where there is none.
    @inlinable
    mutating func take() -> Element? {
        guard first < end else { return nil }
        first += 1
        return (places + (first - 1)).move()
    }

    /// Where the next row is to be initialized, which `add` then says. Only while it is not full.
    @inline(__always)
    var vacancy: UnsafeMutablePointer<Element> { places + end }

    @inline(__always)
    mutating func add(size bytes: Int) {
        end += 1
        size += bytes
    }

    @inline(__always)
    var isFull: Bool { end == capacity || size >= largestSize }

    /// Begins anew; only after the last row was taken.
    @inline(__always)
    mutating func removeAll() { (first, end, size) = (0, 0, 0) }
}

/// The effects of one or more events, in order. Most events have one effect at most, which is kept inline: filling and
/// emptying such a list allocates nothing.
package struct PoolEffects: Hashable, Sendable {
    private var head: PoolEffect?
    private var tail: [PoolEffect] = []

    package init() {}

    package mutating func append(_ effect: PoolEffect) {
        if head == nil {
            head = effect
        } else {
            tail.append(effect)
        }
    }

    /// Empties the list for its next use and keeps its memory, unless that is much.
    package mutating func removeAll() {
        head = nil
        if !tail.isEmpty { tail.removeAll(keepingCapacity: tail.count <= 256) }
    }
}

extension PoolEffects: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { head == nil ? 0 : 1 + tail.count }
    package var isEmpty: Bool { head == nil }
    /// The only effect, where there is exactly one.
    package var only: PoolEffect? { tail.isEmpty ? head : nil }
    package var first: PoolEffect? { head }

    package subscript(position: Int) -> PoolEffect {
        guard position == 0 else { return tail[position - 1] }
        guard let head else { preconditionFailure("no effect at 0: the list is empty") }
        return head
    }
}

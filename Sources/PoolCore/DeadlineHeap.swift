/// A binary heap of deadlines, earliest first; equal ones in order of arrival. Entries of waiters that are gone stay
/// inside until they surface or `filter` sweeps them out.
struct DeadlineHeap: Hashable, Sendable {
    struct Entry: Hashable, Sendable {
        var deadline: PoolInstant
        var ticket: UInt64
        var place: Int32

        func precedes(_ other: Entry) -> Bool {
            deadline == other.deadline ? ticket < other.ticket : deadline < other.deadline
        }
    }

    private var entries: [Entry] = []

    var count: Int { entries.count }
    var first: Entry? { entries.first }

    mutating func push(_ entry: Entry) {
        entries.append(entry)
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].precedes(entries[parent]) else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    mutating func popFirst() {
        guard let last = entries.popLast(), !entries.isEmpty else { return }
        entries[0] = last
        sink(from: 0)
    }

    mutating func filter(_ isKept: (Entry) -> Bool) {
        entries.removeAll { !isKept($0) }
        for parent in stride(from: entries.count / 2 - 1, through: 0, by: -1) { sink(from: parent) }
    }

    mutating func removeAll(keepingCapacity: Bool) {
        entries.removeAll(keepingCapacity: keepingCapacity)
    }

    private mutating func sink(from start: Int) {
        var parent = start
        while true {
            var child = 2 * parent + 1
            guard child < entries.count else { return }
            if child + 1 < entries.count, entries[child + 1].precedes(entries[child]) { child += 1 }
            guard entries[child].precedes(entries[parent]) else { return }
            entries.swapAt(parent, child)
            parent = child
        }
    }
}

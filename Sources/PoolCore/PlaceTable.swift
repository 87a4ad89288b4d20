/// Where each waiter's node is: open addressing with linear probing and backward-shift deletion. A third of the cost of
/// `Dictionary`, whose hashing resists attackers; these keys are the shell's own counters.
struct PlaceTable: Hashable, Sendable {
    private struct Entry: Hashable, Sendable {
        var key: UInt64 = 0
        /// -1: empty.
        var place: Int32 = -1
    }

    private var entries: [Entry] = []
    private var count = 0
    private var shift: UInt64 = 64

    var capacity: Int { entries.count }

    subscript(key: UInt64) -> Int32? {
        guard let index = index(of: key) else { return nil }
        return entries[index].place
    }

    /// False when the key is there already.
    mutating func insert(_ key: UInt64, _ place: Int32) -> Bool {
        if 2 * (count + 1) > entries.count { grow() }
        var index = home(of: key)
        while entries[index].place >= 0 {
            if entries[index].key == key { return false }
            index = (index + 1) & (entries.count - 1)
        }
        entries[index] = Entry(key: key, place: place)
        count += 1
        return true
    }

    mutating func remove(_ key: UInt64) {
        guard var hole = index(of: key) else { return }
        let mask = entries.count - 1
        var index = hole
        while true {
            index = (index + 1) & mask
            guard entries[index].place >= 0 else { break }
            // An entry may move back into the hole unless its home lies after it.
            let distance = (index - home(of: entries[index].key)) & mask
            guard distance >= (index - hole) & mask else { continue }
            entries[hole] = entries[index]
            hole = index
        }
        entries[hole] = Entry()
        count -= 1
    }

    /// Forgets everything and its memory.
    mutating func removeAll() {
        self = PlaceTable()
    }

    @inline(__always)
    private func home(of key: UInt64) -> Int {
        // Fibonacci hashing: consecutive keys scatter evenly.
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift)
    }

    private func index(of key: UInt64) -> Int? {
        guard !entries.isEmpty else { return nil }
        var index = home(of: key)
        while entries[index].place >= 0 {
            if entries[index].key == key { return index }
            index = (index + 1) & (entries.count - 1)
        }
        return nil
    }

    private mutating func grow() {
        let old = entries
        let size = max(16, 2 * old.count)
        entries = Array(repeating: Entry(), count: size)
        shift = UInt64(64 - size.trailingZeroBitCount)
        count = 0
        for entry in old where entry.place >= 0 { _ = insert(entry.key, entry.place) }
    }
}

internal import PostgresWire

#if canImport(Darwin)
    internal import Darwin
#else
    internal import Glibc
#endif

/// The statements one connection has prepared: text and parameter types to a name, least recently used first out.
///
/// Part of a connection, so one borrower at a time. It tells the truth only as long as nobody deallocates by hand;
/// the server's 26000 and 42P05 say so, and then it forgets.
struct StatementCache {
    /// One prepared statement. Its chain holds others whose digests are alike: the same text with other parameter types, or chance.
    final class Entry {
        /// unknown → queued (a Parse is under way) → prepared (the server has confirmed it).
        enum State { case unknown, queued, prepared }

        let name: String
        /// As UTF-8.
        let text: [UInt8]
        let types: [UInt32]
        @exclusivity(unchecked) var lastUse: UInt64
        let traits: StatementTraits
        @exclusivity(unchecked) var state = State.unknown
        /// What its results look like, known after its first execution.
        @exclusivity(unchecked) var columns: RowColumns?
        /// Of its last result, if it has had one.
        @exclusivity(unchecked) var rowCount: Int?
        @exclusivity(unchecked) var next: Entry?

        /// Many rows are best decoded as they come, while the server makes more, and need not be in memory twice. Few rows
        /// come in one piece, which costs less for each.
        var mayHaveManyRows: Bool { rowCount.map { $0 >= 1_000 } ?? true }

        init(
            name: String, text: [UInt8], types: [UInt32], lastUse: UInt64, traits: StatementTraits, next: Entry?
        ) {
            (self.name, self.text, self.types, self.lastUse, self.next) = (name, text, types, lastUse, next)
            self.traits = traits
        }
    }

    private static func isSame(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        return one.withUnsafeBytes { one in
            other.withUnsafeBytes { other in
                guard let first = one.baseAddress, let second = other.baseAddress else { return true }
                return memcmp(first, second, one.count) == 0
            }
        }
    }

    /// What finds a text. It is cheap to compute: nobody who could choose texts that collide would need to.
    private static func digest(_ text: [UInt8]) -> UInt64 {
        text.withUnsafeBytes { bytes in
            var digest = UInt64(truncatingIfNeeded: bytes.count)
            var offset = 0
            while offset + 8 <= bytes.count {
                mix(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self), into: &digest)
                offset += 8
            }
            while offset < bytes.count {
                mix(UInt64(bytes[offset]), into: &digest)
                offset += 1
            }
            return digest
        }
    }

    private static func mix(_ word: UInt64, into digest: inout UInt64) {
        digest = (digest ^ word) &* 0x9E37_79B9_7F4A_7C15
        digest ^= digest >> 32
    }

    let capacity: Int
    /// The connection's transaction is a sandbox's, which no text may end.
    var isInSandbox = false
    /// The chains, by digest: a power of two of them.
    private var chains: [Entry?]
    private(set) var count = 0
    private var clock: UInt64 = 0
    private var serial = 0
    /// No two connections use the same names: behind a pooler, a name that is somebody else's must be unknown, never another
    /// statement.
    private let prefix = "ps" + String(UInt64.random(in: 0 ... .max), radix: 36) + "_"
    /// Names that the server still has and the cache no longer wants.
    private var discarded: [String] = []

    init(capacity: Int) {
        self.capacity = capacity
        var count = 1
        while count < min(capacity, Self.maximumChains) { count *= 2 }
        chains = Array(repeating: nil, count: count)
    }

    private static let maximumChains = 4096

    private func chain(of text: [UInt8]) -> Int {
        Int(truncatingIfNeeded: Self.digest(text)) & (chains.count - 1)
    }

    /// A prepared statement takes some forty times its text in the memory of its server process: a connection's worth of rows
    /// inserted by the thousand, each number of them another text, would be hundreds of megabytes.
    static let longestText = 16_384

    func keeps(_ text: [UInt8]) -> Bool {
        capacity > 0 && text.count <= Self.longestText && (restless.isEmpty || !restless.contains(text))
    }

    /// Texts that mean something else again and again, and are prepared for one use.
    private var restless: Set<[UInt8]> = []
    private static let mostRestless = 256

    mutating func keepNoMore(_ text: [UInt8]) {
        if restless.count >= Self.mostRestless { restless = [] }
        restless.insert(text)
    }

    func traits(of text: String) -> StatementTraits { StatementTraits(of: text, inSandbox: isInSandbox) }

    var hasDiscarded: Bool { !discarded.isEmpty }

    /// The statement for this text and these types: a known one, or a new one that must be prepared first.
    mutating func entry(for text: [UInt8], _ parameters: WireParameters) -> Entry {
        clock += 1
        let chain = chain(of: text)
        var candidate = chains[chain]
        while let entry = candidate {
            if parameters.has(types: entry.types), Self.isSame(entry.text, text) {
                entry.lastUse = clock
                return entry
            }
            candidate = entry.next
        }
        if count >= capacity { discardOldest() }
        serial += 1
        let entry = Entry(
            name: prefix + String(serial), text: text, types: parameters.parameters.map(\.oid), lastUse: clock,
            traits: traits(of: String(decoding: text, as: UTF8.self)), next: chains[chain])
        chains[chain] = entry
        count += 1
        return entry
    }

    /// The server has it from now on: also where it had to make room while its Parse was under way.
    mutating func notePrepared(_ entry: Entry) {
        entry.state = .prepared
        if !isKept(entry) { discarded.append(entry.name) }
    }

    /// The server still has it, and it is to be dropped.
    mutating func discard(_ name: String) { discarded.append(name) }

    /// The server does not have it, or not as it was: the next use prepares it anew, under another name.
    mutating func forget(_ entry: Entry) {
        guard unlink(entry) else { return }
        if entry.state == .prepared { discarded.append(entry.name) }
    }

    /// As above, for a text whatever its parameters' types.
    mutating func forget(_ text: [UInt8]) {
        var candidate = chains[chain(of: text)]
        while let entry = candidate {
            candidate = entry.next
            if Self.isSame(entry.text, text) { forget(entry) }
        }
    }

    /// The server still has them, and all are to be prepared anew.
    mutating func renewAll() {
        var names: [String] = []
        forEach { if $0.state == .prepared { names.append($0.name) } }
        clear()
        discarded += names
    }

    /// The server has dropped them all.
    mutating func forgetAll() {
        clear()
        discarded.removeAll()
    }

    private mutating func clear() {
        for chain in chains.indices { chains[chain] = nil }
        count = 0
    }

    private func forEach(_ body: (Entry) -> Void) {
        for first in chains {
            var candidate = first
            while let entry = candidate {
                body(entry)
                candidate = entry.next
            }
        }
    }

    mutating func takeDiscarded() -> [String] {
        defer { discarded.removeAll() }
        return discarded
    }

    private mutating func discardOldest() {
        var oldest: Entry?
        forEach { entry in if oldest.map({ entry.lastUse < $0.lastUse }) ?? true { oldest = entry } }
        if let oldest { forget(oldest) }
    }

    private func isKept(_ entry: Entry) -> Bool {
        var candidate = chains[chain(of: entry.text)]
        while let other = candidate {
            if other === entry { return true }
            candidate = other.next
        }
        return false
    }

    private mutating func unlink(_ entry: Entry) -> Bool {
        let chain = chain(of: entry.text)
        guard let first = chains[chain] else { return false }
        if first === entry {
            chains[chain] = entry.next
        } else {
            var previous = first
            while let next = previous.next, next !== entry { previous = next }
            guard previous.next === entry else { return false }
            previous.next = entry.next
        }
        count -= 1
        return true
    }
}

internal import PostgresWire
internal import Synchronization

/// Who has a session or a raw connection in hands: nobody, one operation, or a conversation (a stream, a COPY) between two of its
/// steps.
///
/// ```
///   free ──take──▶ busy ──hold──▶ held ──resume──▶ busy ──pause──▶ held
///    ▲              │  ▲            │
///    └─────give─────┘  └──takeOver──┘   a scope ends whose rows are still in somebody's hands
/// ```
///
/// Nothing waits here. A conversation that was taken over finds that it cannot go on, and never that it can with somebody else's.
struct Claim: ~Copyable {
    private static let free = 0
    private static let busy = 1
    private static let conversations = Atomic<Int>(1)

    /// Above `busy`, the number of a conversation, which is never used again.
    private let holder = Atomic<Int>(Self.free)

    @inline(__always)
    private func move(_ from: Int, to: Int) -> Bool {
        holder.compareExchange(expected: from, desired: to, ordering: .acquiringAndReleasing).exchanged
    }

    @inline(__always)
    func take() -> Bool { move(Self.free, to: Self.busy) }

    /// By whoever is busy.
    @inline(__always)
    func give() { holder.store(Self.free, ordering: .releasing) }

    /// By whoever is busy: from here on the conversation of this number holds it.
    func hold() -> Int {
        let number = Self.conversations.add(1, ordering: .relaxed).newValue
        holder.store(number, ordering: .releasing)
        return number
    }

    /// False: somebody has taken over.
    func resume(_ number: Int) -> Bool { move(number, to: Self.busy) }
    func pause(_ number: Int) { holder.store(number, ordering: .releasing) }

    /// As `take`, also from a conversation that is between two steps, which is over then.
    func takeOver() -> Bool {
        let now = holder.load(ordering: .relaxed)
        return now != Self.busy && move(now, to: Self.busy)
    }
}

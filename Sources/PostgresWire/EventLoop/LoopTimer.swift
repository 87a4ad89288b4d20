internal import Synchronization

/// One action at one moment, on a loop's thread. Cancelling is idempotent, and too late is harmless.
package final class LoopTimer: Sendable {
    let deadline: Monotonic
    let action: @Sendable () -> Void
    private let isOver = Atomic<Bool>(false)

    init(deadline: Monotonic, action: @escaping @Sendable () -> Void) {
        self.deadline = deadline
        self.action = action
    }

    /// True for exactly one caller: the loop that fires it or whoever cancels it.
    func end() -> Bool { !isOver.exchange(true, ordering: .acquiringAndReleasing) }
    var isEnded: Bool { isOver.load(ordering: .acquiring) }
}

/// A binary heap of timers by deadline. Cancelled ones stay until they surface or outnumber the living.
struct TimerHeap {
    private var heap: [LoopTimer] = []
    private var cancelled = 0

    var earliest: Monotonic? { heap.first?.deadline }

    mutating func insert(_ timer: LoopTimer) {
        heap.append(timer)
        siftUp(heap.count - 1)
    }

    /// Counts a cancelled timer, and sweeps when the cancelled are the majority.
    mutating func noteCancelled() {
        cancelled += 1
        guard cancelled > 64, cancelled > heap.count / 2 else { return }
        heap.removeAll { $0.isEnded }
        cancelled = 0
        for i in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(i) }
    }

    mutating func popDue(at now: Monotonic) -> LoopTimer? {
        while let first = heap.first, first.deadline <= now || first.isEnded {
            heap.swapAt(0, heap.count - 1)
            heap.removeLast()
            if !heap.isEmpty { siftDown(0) }
            if first.end() { return first }
            cancelled -= cancelled > 0 ? 1 : 0
        }
        return nil
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].deadline < heap[parent].deadline else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].deadline < heap[least].deadline { least = child }
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

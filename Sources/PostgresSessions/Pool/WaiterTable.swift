internal import PoolCore

/// How a wait for a connection ends.
enum WaitEnd: Sendable {
    /// The lease is on the connection: each frame between here and the task that waits has room for the end.
    case granted(PhysicalConnection)
    case failed(PoolFailure)
    /// It goes on, but from now on the task shall listen for its own cancellation.
    case late(WaiterID)
}

typealias WaitContinuation = UnsafeContinuation<WaitEnd, Never>

/// The tasks that wait, by the low bits of their ids: no hashing, no object for each, and no memory beyond the most that ever
/// waited.
///
///     enter ──► suspended ──end──► gone
///                │     ▲
///            late│     │resume
///                ▼     │
///     enter ──► away ──┘ ──end──► over ──resume──► gone
///
/// A suspended task that does not listen for its cancellation is asked for it now and then; one that is away will listen.
struct WaiterTable {
    private struct Slot {
        var id: WaiterID
        var isFree = false
        /// How often it has been asked.
        var rounds: UInt8 = 0
        var continuation: WaitContinuation?
        /// nil for one that listens itself; else the task is suspended here.
        var task: SuspendedTask?
    }

    private var slots: [Slot] = []
    private var free: [Int32] = []
    private var serial: UInt64 = 0
    /// Of those that were away.
    private var ends: [WaiterID: WaitEnd] = [:]
    private(set) var askedCount = 0
    private static let indexBits: UInt64 = 28

    /// So many are asked at most, for that takes time under the pool's lock; the others listen from the start.
    static let mostAsked = 4096
    /// Somebody who has been asked so often waits for something slow, and listens from then on.
    private static let mostRounds: UInt8 = 16

    /// The id is never used again.
    mutating func enter(_ continuation: WaitContinuation?, _ task: SuspendedTask?) -> (id: WaiterID, isAsked: Bool) {
        let index = Int(free.popLast() ?? Int32(slots.count))
        serial += 1
        let id = WaiterID(rawValue: serial << Self.indexBits | UInt64(index))
        let isAsked = continuation != nil && index < Self.mostAsked
        let slot = Slot(id: id, continuation: isAsked ? continuation : nil, task: isAsked ? task : nil)
        if index == slots.count { slots.append(slot) } else { slots[index] = slot }
        if isAsked { askedCount += 1 }
        return (id, isAsked)
    }

    /// The task to resume with this, outside the lock. One that is away finds it when it comes back.
    mutating func end(_ id: WaiterID, with end: WaitEnd) -> WaitContinuation? {
        let index = Self.index(of: id)
        guard index < slots.count, slots[index].id == id, !slots[index].isFree else { return nil }
        guard let continuation = slots[index].continuation else {
            ends[id] = end
            return nil
        }
        remove(index)
        return continuation
    }

    /// The task comes back, and listens. Its end, if there has been one meanwhile.
    mutating func resume(_ id: WaiterID, _ continuation: WaitContinuation) -> WaitEnd? {
        let index = Self.index(of: id)
        if let end = ends.removeValue(forKey: id) {
            remove(index)
            return end
        }
        slots[index].continuation = continuation
        return nil
    }

    /// Asks every task that does not listen. Those that have been cancelled, and those who shall listen from now on.
    mutating func ask() -> (cancelled: [WaiterID], late: [(WaiterID, WaitContinuation)]) {
        var cancelled: [WaiterID] = []
        var late: [(WaiterID, WaitContinuation)] = []
        var left = askedCount
        for index in slots.indices.prefix(Self.mostAsked) where left > 0 {
            guard let task = slots[index].task, let continuation = slots[index].continuation else { continue }
            left -= 1
            slots[index].rounds += 1
            if task.isCancelled {
                cancelled.append(slots[index].id)
            } else if slots[index].rounds == Self.mostRounds {
                slots[index].continuation = nil
                slots[index].task = nil
                askedCount -= 1
                late.append((slots[index].id, continuation))
            }
        }
        return (cancelled, late)
    }

    private mutating func remove(_ index: Int) {
        if slots[index].task != nil { askedCount -= 1 }
        slots[index].isFree = true
        slots[index].continuation = nil
        slots[index].task = nil
        free.append(Int32(index))
    }

    private static func index(of id: WaiterID) -> Int { Int(id.rawValue & ((1 << indexBits) - 1)) }
}

/// A task that waits, to be asked by others whether it has been cancelled.
///
/// An address, for `UnsafeCurrentTask` is of a size that the compiler does not know. Good for as long as the task is suspended.
struct SuspendedTask {
    private let address: UInt

    /// The task that runs this; nil where none does.
    static var current: SuspendedTask? {
        var address: UInt = 0  // without a task, its optional is 0 too
        withUnsafeCurrentTask { task in address = unsafeBitCast(task, to: UInt.self) }
        return address == 0 ? nil : SuspendedTask(address: address)
    }

    /// Names the task, so that one that waits for a connection it holds itself can be told so.
    var name: UInt64 { UInt64(address) }

    /// Only of a task that cannot run on meanwhile: its continuation is in the table, and the table is locked. Any thread may ask.
    var isCancelled: Bool { unsafeBitCast(address, to: UnsafeCurrentTask.self).isCancelled }
}

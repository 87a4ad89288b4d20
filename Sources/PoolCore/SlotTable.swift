/// What one slot is doing. The diagram stands in PoolStateMachine.swift.
enum SlotState: UInt8, Hashable, Sendable {
    case free, connecting, validating, idle, leased, resetting, closing
}

/// The place of one physical connection. A free slot keeps its serial, so that late events are recognised.
struct Slot: Hashable, Sendable {
    var state = SlotState.free
    /// Whether a socket was ever open; a failed connect is not counted as a close.
    var wasOpened = false
    var leakReported = false
    /// Decided while it was lent: close it when it comes back.
    var condemned: CloseReason?
    var serial: UInt64 = 0
    var generation: UInt64 = 0
    var lease: UInt64 = 0
    var owner: UInt64?
    /// When it entered its present state.
    var since = PoolInstant(nanoseconds: 0)
    var expiresAt = PoolInstant.distantFuture
    // Neighbours in the list of idle slots, -1 at the ends.
    var newer: Int32 = -1
    var older: Int32 = -1
}

/// The slots, how many are in which state, and the idle ones in the order in which they came to rest.
/// Taking and parking an idle slot are O(1) and allocate nothing; so is removing one from the middle when its socket dies.
struct SlotTable: Hashable, Sendable {
    private(set) var slots: [Slot] = []
    private var free: [Int32] = []
    private var nextSerial: UInt64 = 1
    /// The idle list's ends, -1 when it is empty.
    private(set) var newestIdle: Int32 = -1
    private(set) var oldestIdle: Int32 = -1

    private(set) var idle = 0
    private(set) var leased = 0
    private(set) var connecting = 0
    private(set) var validating = 0
    private(set) var resetting = 0
    private(set) var closing = 0

    /// Every socket that the server may count (P1).
    var live: Int { open + closing }
    /// Those that are, or hope to become, somebody's connection.
    var open: Int { usable + connecting }
    /// Those that exist and may serve a request sooner or later.
    var usable: Int { idle + leased + validating + resetting }
    /// Those on their way to a waiter without anybody's return.
    var coming: Int { connecting + validating + resetting }

    subscript(index: Int) -> Slot {
        get { slots[index] }
        _modify { yield &slots[index] }
    }

    func id(_ index: Int) -> ConnectionID {
        ConnectionID(slot: index, serial: slots[index].serial)
    }

    /// The slot of this very connection, not of a later one in the same place.
    func index(of id: ConnectionID) -> Int? {
        guard id.slot >= 0, id.slot < slots.count, slots[id.slot].serial == id.serial else { return nil }
        return id.slot
    }

    /// A slot for a connection that begins now, in the state `connecting`.
    mutating func allocate(generation: UInt64, at now: PoolInstant) -> Int {
        let index: Int
        if let reused = free.popLast() {
            index = Int(reused)
        } else {
            index = slots.count
            slots.append(Slot())
        }
        var slot = Slot()
        slot.state = .connecting
        slot.serial = nextSerial
        slot.generation = generation
        slot.since = now
        slots[index] = slot
        nextSerial += 1
        connecting += 1
        return index
    }

    mutating func release(_ index: Int) {
        leave(slots[index].state, index)
        slots[index].state = .free
        slots[index].condemned = nil
        slots[index].owner = nil
        free.append(Int32(index))
    }

    /// Moves a slot to another state. Into `idle` it becomes the newest of the list.
    @inline(__always)
    mutating func move(_ index: Int, to state: SlotState, at now: PoolInstant) {
        leave(slots[index].state, index)
        slots[index].state = state
        slots[index].since = now
        switch state {
        case .free: preconditionFailure("use release(_:)")
        case .connecting: connecting += 1
        case .validating: validating += 1
        case .idle:
            idle += 1
            pushIdle(index)
        case .leased: leased += 1
        case .resetting: resetting += 1
        case .closing: closing += 1
        }
    }

    @inline(__always)
    private mutating func leave(_ state: SlotState, _ index: Int) {
        switch state {
        case .free: preconditionFailure("slot \(index) is free")
        case .connecting: connecting -= 1
        case .validating: validating -= 1
        case .idle:
            idle -= 1
            unlinkIdle(index)
        case .leased: leased -= 1
        case .resetting: resetting -= 1
        case .closing: closing -= 1
        }
    }

    @inline(__always)
    private mutating func pushIdle(_ index: Int) {
        slots[index].newer = -1
        slots[index].older = newestIdle
        if newestIdle >= 0 {
            slots[Int(newestIdle)].newer = Int32(truncatingIfNeeded: index)
        } else {
            oldestIdle = Int32(truncatingIfNeeded: index)
        }
        newestIdle = Int32(truncatingIfNeeded: index)
    }

    @inline(__always)
    private mutating func unlinkIdle(_ index: Int) {
        let (newer, older) = (slots[index].newer, slots[index].older)
        if newer >= 0 { slots[Int(newer)].older = older } else { newestIdle = older }
        if older >= 0 { slots[Int(older)].newer = newer } else { oldestIdle = newer }
    }
}

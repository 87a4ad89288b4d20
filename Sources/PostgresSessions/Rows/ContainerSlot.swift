internal import PostgresWire
import Synchronization

/// What a keyed container of rows, or their decoder, reads from, in memory that is used again but never freed.
///
/// The standard library copies a container at every value that it decodes. So ``RowKeyedContainer`` holds no reference that
/// would be counted then: it holds a slot, and the generation in which the slot was its own. A container that somebody
/// keeps longer than its decoder finds another generation, and throws. So does a ``StructDecoder``.
struct ContainerSlot {
    /// Odd while a container or a decoder owns the slot.
    private(set) var generation: UInt = 0
    /// Valid while the slot is owned.
    private(set) var cells: CellReader
    private(set) var columns: Unmanaged<ColumnReader>
    /// Column by the bits of a coding key of one byte.
    private let byBits: UnsafeMutablePointer<Int32>
    private var byName: [String: Int] = [:]
    /// Of a container: the decoder that has made it.
    var decoder: StructDecoder?
    /// Of a decoder: the last container that it has made, of this key type; `KeyedDecodingContainer` allocates when it is made.
    private(set) var madeKey: UnsafeRawPointer?
    private(set) var made: AnyObject?
    /// Of a decoder: the slots of all its containers.
    private var containers: [Pointer] = []

    static var unresolved: Int { -2 }

    private init(_ reader: ColumnReader) {
        cells = reader.cells
        columns = .passUnretained(reader)
        byBits = .allocate(capacity: 256)
    }

    @inline(__always)
    func column(bits: UInt8) -> Int { Int(byBits[Int(bits)]) }

    @inline(never)
    func resolve(bits: UInt8, _ name: String) -> Int {
        let column = columns.takeUnretainedValue().column(forKey: name) ?? -1
        byBits[Int(bits)] = Int32(column)
        return column
    }

    mutating func note(_ key: UnsafeRawPointer, _ container: AnyObject, in slot: Pointer) {
        (madeKey, made) = (key, container)
        containers.append(slot)
    }

    @inline(never)
    mutating func column(named name: String) -> Int {
        if let known = byName[name] { return known }
        let column = columns.takeUnretainedValue().column(forKey: name) ?? -1
        byName[name] = column
        return column
    }
}

extension ContainerSlot {
    typealias Pointer = UnsafeMutablePointer<ContainerSlot>

    private struct Free: @unchecked Sendable { var slots: [Pointer] = [] }  // reached through the mutex alone
    private static let free = Mutex(Free())

    /// A slot for a container that reads through `reader`; to be released by whoever keeps `reader` alive until then.
    static func take(for reader: ColumnReader) -> Pointer {
        let slot: Pointer
        if let used = free.withLock({ $0.slots.popLast() }) {
            slot = used
            slot.pointee.cells = reader.cells
            slot.pointee.columns = .passUnretained(reader)
        } else {
            slot = .allocate(capacity: 1)
            slot.initialize(to: ContainerSlot(reader))
        }
        slot.pointee.byBits.update(repeating: Int32(unresolved), count: 256)
        slot.pointee.generation += 1
        return slot
    }

    /// From here on, containers that still name the slot throw.
    static func release(_ slot: Pointer) {
        slot.pointee.generation += 1
        slot.pointee.byName = [:]
        for container in slot.pointee.containers { release(container) }
        slot.pointee.containers = []
        (slot.pointee.madeKey, slot.pointee.made) = (nil, nil)
        free.withLock { $0.slots.append(slot) }
    }
}

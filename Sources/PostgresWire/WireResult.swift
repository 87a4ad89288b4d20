internal import CLibPQ

#if canImport(Darwin)
    internal import Darwin
#else
    internal import Glibc
#endif

/// One `PGresult`, freed exactly once, when the last reader lets it go.
///
/// Read-only after its making, so any thread may read it; libpq documents a result as safe to read from any thread.
package final class WireResult: @unchecked Sendable {
    // Proof: the pointer is only read, and cleared once in deinit; `attached` is set once, before anybody else sees it. What
    // is lent is seen by the connection's borrower alone.
    @exclusivity(unchecked) private(set) var pointer: OpaquePointer?
    /// What the layer above knows of the columns already. Set it before the result leaves the connection's borrower.
    @exclusivity(unchecked) private var attached: AnyObject?

    /// A function, because what another module stores here itself is checked for exclusive access.
    package func attach(_ knowledge: AnyObject) { attached = knowledge }
    package var attachment: AnyObject? { attached }

    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    /// One that only lends.
    init() {}

    /// Shows a result until it is returned, so that one that nobody keeps needs no object of its own.
    @inline(__always)
    func lend(_ pointer: OpaquePointer) { self.pointer = pointer }

    @inline(__always)
    func returnLent() {
        guard pointer != nil else { return }
        PQclear(pointer)
        pointer = nil
        if attached != nil { attached = nil }
    }

    deinit { PQclear(pointer) }

    /// Bytes that the result holds in memory.
    package var memorySize: Int { Int(PQresultMemorySize(pointer)) }
    /// A row is a message.
    func hasRow(largerThan limit: Int) -> Bool {
        let columns = Int32(columnCount)
        for row in 0..<Int32(rowCount) {
            var size = 0
            for column in 0..<columns { size += Int(PQgetlength(pointer, row, column)) }
            if size > limit { return true }
        }
        return false
    }
    package var rowCount: Int { Int(PQntuples(pointer)) }
    package var columnCount: Int { Int(PQnfields(pointer)) }

    package func columnName(_ column: Int) -> String {
        PQfname(pointer, Int32(column)).map { String(cString: $0) } ?? ""
    }
    package func columnOID(_ column: Int) -> UInt32 { PQftype(pointer, Int32(column)) }
    package func columnIsBinary(_ column: Int) -> Bool { PQfformat(pointer, Int32(column)) == 1 }

    /// The bytes of one cell, valid while this result lives; nil for NULL.
    @inline(__always)
    package func cell(row: Int, column: Int) -> UnsafeRawBufferPointer? {
        let length = PQgetlength(pointer, Int32(row), Int32(column))
        if length == 0 && PQgetisnull(pointer, Int32(row), Int32(column)) == 1 { return nil }
        return UnsafeRawBufferPointer(start: PQgetvalue(pointer, Int32(row), Int32(column)), count: Int(length))
    }

    /// All cells of one row, as above; those that are NULL have no address. One call for all, because it comes from another
    /// module.
    package func read(row: Int, into cells: UnsafeMutablePointer<UnsafeRawBufferPointer>, count: Int) {
        let (pointer, row) = (pointer, Int32(row))
        for column in 0..<count {
            let length = PQgetlength(pointer, row, Int32(truncatingIfNeeded: column))
            let isNull = length == 0 && PQgetisnull(pointer, row, Int32(truncatingIfNeeded: column)) == 1
            let start = isNull ? nil : PQgetvalue(pointer, row, Int32(truncatingIfNeeded: column))
            cells[column] = UnsafeRawBufferPointer(start: start, count: Int(length))
        }
    }

    /// The server's command tag, `UPDATE 3`.
    package var commandTag: String { String(cString: PQcmdStatus(pointer)) }
    /// What the tag begins with; 0 where there is none.
    package var tagInitial: UInt8 { UInt8(bitPattern: PQcmdStatus(pointer).pointee) }
    package func isTagged(_ tag: StaticString) -> Bool {
        tag.withUTF8Buffer { UnsafeRawPointer($0.baseAddress!) }.withMemoryRebound(to: CChar.self, capacity: 1) {
            strcmp(PQcmdStatus(pointer), $0) == 0
        }
    }
    /// Rows affected, from the tag; 0 where the command has no count.
    package var rowsAffected: Int {
        var n = 0
        var digits = PQcmdTuples(pointer)!
        while digits.pointee != 0 {
            n = n &* 10 &+ Int(digits.pointee &- 48)
            digits += 1
        }
        return n
    }
}

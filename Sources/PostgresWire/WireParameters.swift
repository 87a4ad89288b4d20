/// The parameters of one statement in one buffer: for each a header, then its bytes, which are not copied again on the way to
/// libpq. At most 65,535 parameters fit the protocol.
package struct WireParameters: Sendable {
    /// What the buffer says of one parameter.
    package struct Parameter: Sendable {
        /// PostgreSQL's type, or 0 to let the server infer it.
        package var oid: UInt32
        /// Length in bytes; negative for NULL.
        package var length: Int32
        /// Where in the text its placeholder stands; for whoever composes statements.
        package var place: UInt32
        fileprivate var binary: UInt32

        package var isBinary: Bool { binary != 0 }
        /// How much of the buffer follows the header. Text is followed by the NUL that libpq wants.
        fileprivate var size: Int { length < 0 ? 0 : Int(length) + (isBinary ? 0 : 1) }
    }

    package private(set) var bytes: [UInt8] = []
    package private(set) var count = 0

    package init() {}

    /// Room for short texts too: growing costs more than the bytes.
    package mutating func reserve(_ count: Int) { bytes.reserveCapacity(count * (Self.headerSize + 16)) }

    private static var headerSize: Int { MemoryLayout<Parameter>.size }

    package mutating func appendNull(oid: UInt32, place: Int) {
        append(Parameter(oid: oid, length: -1, place: UInt32(truncatingIfNeeded: place), binary: 1))
        count += 1
    }

    /// Appends one parameter whose bytes `write` appends to the buffer. Nothing is appended when it throws.
    package mutating func append(
        oid: UInt32, isBinary: Bool = true, place: Int = 0, _ write: (inout [UInt8]) throws -> Void
    ) rethrows {
        let start = bytes.count
        var header = Parameter(
            oid: oid, length: 0, place: UInt32(truncatingIfNeeded: place), binary: isBinary ? 1 : 0)
        append(header)
        do {
            try write(&bytes)
        } catch {
            bytes.removeSubrange(start...)
            throw error
        }
        header.length = Int32(bytes.count - start - Self.headerSize)
        if !isBinary { bytes.append(0) }
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: header, toByteOffset: start, as: Parameter.self) }
        count += 1
    }

    /// Appends all parameters of `other`, in order, their placeholders moved by as much as `move` says of each.
    package mutating func append(contentsOf other: WireParameters, placedAt place: (Int, Parameter) -> Int) {
        var start = bytes.count
        bytes += other.bytes
        count += other.count
        bytes.withUnsafeMutableBytes { bytes in
            for index in 0..<other.count {
                var header = bytes.loadUnaligned(fromByteOffset: start, as: Parameter.self)
                header.place = UInt32(truncatingIfNeeded: place(index, header))
                bytes.storeBytes(of: header, toByteOffset: start, as: Parameter.self)
                start += Self.headerSize + header.size
            }
        }
    }

    private mutating func append(_ header: Parameter) {
        withUnsafeBytes(of: header) { bytes.append(contentsOf: $0) }
    }

    /// Every parameter in order, with the address of its bytes, which is valid only in `body`.
    @inline(__always)
    package func forEach(_ body: (Int, Parameter, UnsafeRawPointer) -> Void) {
        bytes.withUnsafeBytes { bytes in
            guard var next = bytes.baseAddress else { return }
            for index in 0..<count {
                let parameter = next.loadUnaligned(as: Parameter.self)
                next += Self.headerSize
                body(index, parameter, next)
                next += parameter.size
            }
        }
    }

    /// Every parameter in order, without its bytes.
    package var parameters: [Parameter] {
        var all: [Parameter] = []
        all.reserveCapacity(count)
        forEach { _, parameter, _ in all.append(parameter) }
        return all
    }

    /// Whether these are the types of all parameters, in order.
    package func has(types: [UInt32]) -> Bool {
        guard types.count == count else { return false }
        var isEqual = true
        forEach { index, parameter, _ in isEqual = isEqual && parameter.oid == types[index] }
        return isEqual
    }
}

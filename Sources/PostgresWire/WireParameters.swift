/// The parameters of one statement: their bytes in one buffer, and what lies where.
///
/// Bytes are never copied again on the way to libpq. At most 65,535 parameters fit the protocol.
package struct WireParameters: Sendable {
    package struct Parameter: Sendable {
        /// PostgreSQL's type, or 0 to let the server infer it.
        package var oid: UInt32
        package var offset: Int
        /// Length in bytes; negative for NULL.
        package var length: Int
        package var isBinary: Bool
    }

    package var bytes: [UInt8] = []
    package var parameters: [Parameter] = []

    package init() {}

    package var count: Int { parameters.count }

    package mutating func appendNull(oid: UInt32) {
        parameters.append(Parameter(oid: oid, offset: bytes.count, length: -1, isBinary: true))
    }

    /// Appends one parameter whose bytes `write` appends to the buffer. Text parameters gain the NUL that libpq wants.
    package mutating func append(oid: UInt32, isBinary: Bool = true, _ write: (inout [UInt8]) throws -> Void) rethrows {
        let offset = bytes.count
        try write(&bytes)
        parameters.append(Parameter(oid: oid, offset: offset, length: bytes.count - offset, isBinary: isBinary))
        if !isBinary { bytes.append(0) }
    }

    /// Appends all parameters of `other`, in order.
    package mutating func append(contentsOf other: WireParameters) {
        let base = bytes.count
        bytes += other.bytes
        parameters.reserveCapacity(parameters.count + other.parameters.count)
        for var parameter in other.parameters {
            parameter.offset += base
            parameters.append(parameter)
        }
    }
}

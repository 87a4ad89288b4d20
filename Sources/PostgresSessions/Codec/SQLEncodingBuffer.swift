import Foundation

/// Where values append their bytes on the way to the server.
public struct SQLEncodingBuffer {
    @usableFromInline
    package var bytes: [UInt8]

    package init(bytes: [UInt8] = []) { self.bytes = bytes }

    /// How many bytes have been appended so far, those of earlier parameters included.
    public var count: Int { bytes.count }

    /// Appends raw bytes.
    public mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    /// Appends an integer in network byte order, as PostgreSQL's binary forms want it.
    @inlinable
    public mutating func append<I: FixedWidthInteger>(bigEndian value: I) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Appends text as UTF-8. A NUL in it, which PostgreSQL's text cannot hold, makes the query refuse to run.
    public mutating func append(text: some StringProtocol) {
        let isDone: Void? = text.utf8.withContiguousStorageIfAvailable { bytes.append(contentsOf: $0) }
        if isDone == nil { bytes.append(contentsOf: text.utf8) }
    }

    /// Appends what `write` appends, behind its length as an Int32: the form of array elements and composite fields.
    mutating func appendCounted(_ write: (inout SQLEncodingBuffer) throws -> Void) throws {
        let place = bytes.count
        append(bigEndian: Int32(0))
        try write(&self)
        guard let length = Int32(exactly: bytes.count - place - 4) else {
            throw SQLValueError("a part of the value is larger than 2 GiB")
        }
        overwrite(length, at: place)
    }

    mutating func overwrite(_ value: Int32, at place: Int) {
        precondition(place >= 0 && place <= bytes.count - 4)
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.bigEndian, toByteOffset: place, as: Int32.self) }
    }
}

extension SQLEncodingBuffer {
    /// libpq ends text parameters at the first NUL, so there must be none.
    mutating func refuseNUL(from start: Int) throws {
        guard !bytes.withUnsafeBytes({ UnsafeRawBufferPointer(rebasing: $0[start...]).containsNUL }) else {
            throw SQLValueError("the text contains a NUL character, which PostgreSQL cannot store")
        }
    }
}

extension UnsafeRawBufferPointer {
    var containsNUL: Bool {
        guard let baseAddress else { return false }
        return memchr(baseAddress, 0, count) != nil
    }
}

extension String {
    var containsNUL: Bool {
        utf8.withContiguousStorageIfAvailable { UnsafeRawBufferPointer($0).containsNUL } ?? utf8.contains(0)
    }
}

public import Foundation

// bytea, and the raw bytes of any other type: a type that nobody knows can always be taken as [UInt8].
// [UInt8] itself is an Array; Arrays.swift sends it here.

extension Data: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .bytea }
    public static var sqlArrayType: SQLType { .byteaArray }

    public init(sqlCell: SQLCell) throws {
        if sqlCell.isBinary { self = Data(sqlCell.bytes) } else { self = Data(try ByteForm.decode(sqlCell)) }
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(self) }
}

enum ByteForm {
    /// bytea is decoded from its text form; every other type gives its bytes as they are.
    static func decode(_ cell: SQLCell) throws -> [UInt8] {
        guard !cell.isBinary, cell.type == .bytea else { return Array(cell.bytes) }
        guard cell.bytes.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "x")]) else {
            return try fromEscaped(cell.bytes)
        }
        guard let bytes = fromHex(UnsafeRawBufferPointer(rebasing: cell.bytes.dropFirst(2))) else {
            throw SQLValueError("bytea with an odd or unreadable hex digit")
        }
        return bytes
    }

    /// With bytea_output escape: a backslash is doubled, and what cannot be shown is a backslash and three octal digits.
    private static func fromEscaped(_ text: UnsafeRawBufferPointer) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            if rest.first == byte {
                bytes.append(rest.removeFirst())
            } else {
                guard rest.count >= 3, let octal = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
                else {
                    throw SQLValueError("bytea in a form that is neither hex nor escape")
                }
                bytes.append(octal)
                rest = rest.dropFirst(3)
            }
        }
        return bytes
    }

    static func fromHex(_ digits: UnsafeRawBufferPointer) -> [UInt8]? {
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = hexValue(digits[index]), let low = hexValue(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    static func hexValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

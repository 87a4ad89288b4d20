/// The messages a PostgreSQL server sends, as bytes: type, length, body.
enum ServerBytes {
    static let authenticationOK = message("R", be(0 as Int32))
    static let passwordWanted = message("R", be(3 as Int32))
    static let parseComplete = message("1")
    static let bindComplete = message("2")
    static let closeComplete = message("3")
    static let noData = message("n")
    /// One column, in text, from the client to the server: what nobody expects after a SELECT.
    static let copyInResponse = message("G", [0] + be(1 as Int16) + be(0 as Int16))
    /// No PostgreSQL message begins like this.
    static let garbage: [UInt8] = [0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1, 0xff, 0xff, 0xff]

    static func readyForQuery(_ status: UInt8) -> [UInt8] { message("Z", [status]) }
    static func parameterStatus(_ name: String, _ value: String) -> [UInt8] { message("S", text(name) + text(value)) }
    static func keyData(_ processID: Int32, _ secret: Int32) -> [UInt8] { message("K", be(processID) + be(secret)) }
    static func commandComplete(_ tag: String) -> [UInt8] { message("C", text(tag)) }

    static func notification(_ channel: String, _ payload: String, from processID: Int32 = 1) -> [UInt8] {
        message("A", be(processID) + text(channel) + text(payload))
    }

    /// In the server's language, which is not English: nobody may rely on words.
    static func error(_ sqlState: String, _ severity: String = "ERROR") -> [UInt8] {
        let routine = sqlState == "0A000" ? "RevalidateCachedQuery" : "scripted"
        let fields = [
            ("S", severity == "ERROR" ? "ОШИБКА" : "ВАЖНО"), ("V", severity), ("C", sqlState), ("M", "так написано"),
            ("R", routine),
        ]
        return message("E", fields.flatMap { Array($0.0.utf8) + text($0.1) } + [0])
    }

    static func fatal(_ sqlState: String) -> [UInt8] { error(sqlState, "FATAL") }

    /// One column of type integer.
    static func rowDescription(isBinary: Bool) -> [UInt8] {
        let column = text("number") + be(0 as Int32) + be(0 as Int16) + be(23 as Int32) + be(4 as Int16)
        return message("T", be(1 as Int16) + column + be(-1 as Int32) + be((isBinary ? 1 : 0) as Int16))
    }

    static func dataRow(_ number: Int32, isBinary: Bool) -> [UInt8] {
        let value = isBinary ? be(number) : Array("\(number)".utf8)
        return message("D", be(1 as Int16) + be(Int32(value.count)) + value)
    }

    static func message(_ type: Character, _ body: [UInt8] = []) -> [UInt8] {
        [type.asciiValue ?? 0] + be(Int32(body.count + 4)) + body
    }

    static func text(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }
    static func be<I: FixedWidthInteger>(_ number: I) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
}

/// Reads a client's message from front to back.
struct ClientBytes {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

    mutating func integer<I: FixedWidthInteger>(_ type: I.Type = I.self) -> I {
        var value: I = 0
        for _ in 0..<(I.bitWidth / 8) {
            guard position < bytes.count else { return value }
            value = value << 8 | I(truncatingIfNeeded: bytes[position])
            position += 1
        }
        return value
    }

    mutating func text() -> String {
        let end = bytes[position...].firstIndex(of: 0) ?? bytes.count
        defer { position = min(end + 1, bytes.count) }
        return String(decoding: bytes[position..<end], as: UTF8.self)
    }

    mutating func skip(_ count: Int) { position = min(position + max(0, count), bytes.count) }
}

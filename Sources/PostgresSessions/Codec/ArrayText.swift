/// An array's text, `{1,NULL,"a \"b\""}` with any number of dimensions, taken apart.
struct ArrayText {
    indirect enum Node {
        case array([Node])
        case value([UInt8])
        case null
    }

    /// What the elements are.
    struct Element {
        let type: SQLType
        let form: SQLCellForm

        func cell(_ bytes: UnsafeRawBufferPointer) -> SQLCell { SQLCell(bytes: bytes, type: type, form: form) }
    }

    let root: Node
    let element: Element
    private let delimiter: UInt8
    /// `[0:1]=`, or nothing.
    private let bounds: String

    init(_ cell: SQLCell) throws {
        delimiter = cell.delimiter
        element = Element(
            type: cell.canonical(cell.elementType ?? .unknown), form: SQLCellForm(isBinary: false, cell.form.catalog))
        if cell.type.isVector {
            bounds = ""
            root = .array(cell.bytes.split(separator: UInt8(ascii: " ")).map { .value(Array($0)) })
            return
        }
        var parser = Parser(text: cell.bytes, delimiter: delimiter)
        parser.skipBounds()
        bounds = String(decoding: cell.bytes[..<parser.index], as: UTF8.self)
        root = try parser.array(depth: 1)
        parser.skipSpaces()
        guard parser.isAtEnd else { throw SQLValueError("the array's text goes on behind its end") }
    }

    /// As ``TextForm`` shows it.
    func fixed(depth: Int) throws -> String { try bounds + shown(root, depth: depth) }

    private func shown(_ node: Node, depth: Int) throws -> String {
        let between = String(UnicodeScalar(delimiter))
        switch node {
        case .array(let nodes):
            return "{" + (try nodes.map { try shown($0, depth: depth) }).joined(separator: between) + "}"
        case .null: return "NULL"
        case .value(let bytes):
            return try bytes.withUnsafeBytes { try TextForm.element(element.cell($0), between, depth) }
        }
    }

    /// The elements of an array of one dimension, nil for NULL.
    func values(orElse refuse: () throws -> Void) throws -> [[UInt8]?] {
        guard case .array(let nodes) = root else { return [] }
        return try nodes.map { node in
            switch node {
            case .value(let bytes): return bytes
            case .null: return nil
            case .array:
                try refuse()
                return nil
            }
        }
    }

    private struct Parser {
        let text: UnsafeRawBufferPointer
        let delimiter: UInt8
        var index = 0

        init(text: UnsafeRawBufferPointer, delimiter: UInt8) { (self.text, self.delimiter) = (text, delimiter) }

        var isAtEnd: Bool { index >= text.count }
        var next: UInt8? { index < text.count ? text[index] : nil }

        mutating func skipSpaces() {
            while let byte = next, byte == 32 || (9...13).contains(byte) { index += 1 }
        }

        /// `[0:2][1:3]=`, which the server prints when an index does not begin at 1.
        mutating func skipBounds() {
            skipSpaces()
            guard next == UInt8(ascii: "["), let end = text.firstIndex(of: UInt8(ascii: "=")) else { return }
            index = end + 1
        }

        mutating func array(depth: Int) throws -> Node {
            skipSpaces()
            guard next == UInt8(ascii: "{") else { throw SQLValueError("the text is no array: it has no {") }
            guard depth <= ArrayForm.maximumDimensions else {
                throw SQLValueError("the array's text is nested too deeply")
            }
            index += 1
            var nodes: [Node] = []
            skipSpaces()
            if next == UInt8(ascii: "}") {
                index += 1
                return .array(nodes)
            }
            while true {
                nodes.append(try element(depth: depth))
                skipSpaces()
                let end = next
                index += 1
                if end == UInt8(ascii: "}") { return .array(nodes) }
                guard end == delimiter else { throw SQLValueError("the array's text ends too early") }
            }
        }

        private mutating func element(depth: Int) throws -> Node {
            skipSpaces()
            switch next {
            case UInt8(ascii: "{"): return try array(depth: depth + 1)
            case UInt8(ascii: "\""): return .value(try quoted())
            default: return try plain()
            }
        }

        private mutating func quoted() throws -> [UInt8] {
            var bytes: [UInt8] = []
            index += 1
            while let byte = next {
                index += 1
                if byte == UInt8(ascii: "\"") { return bytes }
                if byte == UInt8(ascii: "\\") {
                    guard let escaped = next else { break }
                    index += 1
                    bytes.append(escaped)
                } else {
                    bytes.append(byte)
                }
            }
            throw SQLValueError("the array's text ends inside a quoted element")
        }

        private mutating func plain() throws -> Node {
            var bytes: [UInt8] = []
            var wasEscaped = false
            scan: while let byte = next {
                switch byte {
                case delimiter, UInt8(ascii: "}"), UInt8(ascii: "{"): break scan
                case UInt8(ascii: "\\"):
                    index += 1
                    guard let escaped = next else { throw SQLValueError("the array's text ends inside an element") }
                    wasEscaped = true
                    bytes.append(escaped)
                default: bytes.append(byte)
                }
                index += 1
            }
            while let last = bytes.last, last == 32, !wasEscaped { bytes.removeLast() }
            guard !bytes.isEmpty else { throw SQLValueError("the array's text has an empty element") }
            if !wasEscaped, bytes.count == 4, bytes.map({ $0 & 0xDF }) == Array("NULL".utf8) { return .null }
            return .value(bytes)
        }
    }
}

/// The savepoints that a raw connection's statements have opened, read off their words: a session that joins the
/// transaction wants to know the innermost.
struct OpenSavepoints {
    /// As they are written in SQL, outermost first.
    private var names: [String] = []

    var innermost: String? { names.last }
    var isEmpty: Bool { names.isEmpty }

    /// A statement that the server has executed.
    mutating func note(_ text: String) {
        let verb = text.drop(while: Self.isGap).prefix { !Self.isGap($0) }
        lazy var words = text.split(whereSeparator: Self.isGap).dropFirst()
        switch verb.uppercased() {
        case "SAVEPOINT": if let name = words.first { names.append(Self.canonical(name)) }
        case "RELEASE": if let name = words.last { forget(Self.canonical(name)) }
        case "ROLLBACK", "ABORT":
            guard words.contains(where: { $0.uppercased() == "TO" }), let name = words.last else { return forgetAll() }
            guard let index = names.lastIndex(of: Self.canonical(name)) else { return }
            names.removeSubrange((index + 1)...)
        case "COMMIT", "END", "PREPARE": forgetAll()
        default: break
        }
    }

    private static func isGap(_ character: Character) -> Bool { character.isWhitespace || character == ";" }

    /// It has ended, and with it those inside it.
    mutating func forget(_ name: String) {
        if let index = names.lastIndex(of: name) { names.removeSubrange(index...) }
    }

    mutating func forgetAll() { names.removeAll() }

    private static func canonical(_ word: Substring) -> String {
        word.hasPrefix("\"") ? String(word) : word.lowercased()
    }
}

/// The savepoints that a raw connection's statements have opened, read off their words: a session that joins the
/// transaction wants to know the innermost.
struct OpenSavepoints {
    /// As they are written in SQL, outermost first.
    private var names: [String] = []

    var innermost: String? { names.last }
    var isEmpty: Bool { names.isEmpty }

    /// A statement that the server has executed.
    mutating func note(_ text: String) {
        guard Self.mayConcern(text) else { return }
        var words = text.split { $0.isWhitespace || $0 == ";" }[...]
        switch words.popFirst()?.uppercased() {
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

    /// By its first letter, without splitting it all.
    private static func mayConcern(_ text: String) -> Bool {
        guard let start = text.utf8.first(where: { $0 > UInt8(ascii: " ") && $0 != UInt8(ascii: ";") }) else {
            return false
        }
        let word = text.utf8.drop { $0 != start }.prefix(9)
        return ["SAVEPOINT", "RELEASE", "ROLLBACK", "ABORT", "COMMIT", "END", "PREPARE"].contains { known in
            word.count >= known.utf8.count && zip(word, known.utf8).allSatisfy { $0 & 0xDF == $1 }
        }
    }

    /// It has ended, and with it those inside it.
    mutating func forget(_ name: String) {
        if let index = names.lastIndex(of: name) { names.removeSubrange(index...) }
    }

    mutating func forgetAll() { names.removeAll() }

    private static func canonical(_ word: Substring) -> String {
        word.hasPrefix("\"") ? String(word) : word.lowercased()
    }
}

/// A tsquery's text, as `tsqueryout` prints it: `'fat' & ( 'rat' | !'cat':*A )`.
///
/// In binary, a count, then operators before their operands, the right one first: 2, the operator, a phrase's distance; or 1, weights,
/// whether it is a prefix, and the word with a NUL (`tsquerysend` in tsquery.c).
struct TextSearchForm {
    private var reader: ByteReader
    private var count: Int

    static func query(_ bytes: UnsafeRawBufferPointer) throws -> String {
        var form = try TextSearchForm(bytes)
        guard form.count > 0 else { return "" }
        let text = try form.node(in: -1, isRightOfPhrase: false, depth: 0)
        guard form.count == 0, form.reader.remaining == 0 else { throw SQLValueError("a tsquery with bytes too many") }
        return text
    }

    private init(_ bytes: UnsafeRawBufferPointer) throws {
        reader = ByteReader(bytes)
        count = Int(try reader.integer(Int32.self))
    }

    /// Binds weaker than what is around it: then it is in parentheses.
    private mutating func node(in outer: Int, isRightOfPhrase: Bool, depth: Int) throws -> String {
        guard count > 0, depth < 500 else { throw SQLValueError("a tsquery of another count, or nested too deeply") }
        count -= 1
        let kind: UInt8 = try reader.integer()
        guard kind == 2 else { return try word(kind) }
        let sign: UInt8 = try reader.integer()
        let (priority, word): (Int, String)
        switch sign {
        case 1: return try "!" + node(in: 4, isRightOfPhrase: false, depth: depth + 1)
        case 2: (priority, word) = (2, "&")
        case 3: (priority, word) = (1, "|")
        case 4:
            let distance: UInt16 = try reader.integer()
            (priority, word) = (3, distance == 1 ? "<->" : "<\(distance)>")
        default: throw SQLValueError("a tsquery with an unknown operator")
        }
        let right = try node(in: priority, isRightOfPhrase: sign == 4, depth: depth + 1)
        let left = try node(in: priority, isRightOfPhrase: false, depth: depth + 1)
        let text = "\(left) \(word) \(right)"
        return priority < outer || sign == 4 && isRightOfPhrase ? "( \(text) )" : text
    }

    private mutating func word(_ kind: UInt8) throws -> String {
        guard kind == 1 else { throw SQLValueError("a tsquery with an unknown part") }
        let weights: UInt8 = try reader.integer()
        let isPrefix: UInt8 = try reader.integer()
        let word = try reader.terminatedText().escaping("'\\", with: { $0 })
        var marks = isPrefix == 0 ? "" : "*"
        for (bit, letter) in [(8, "A"), (4, "B"), (2, "C"), (1, "D")] as [(UInt8, String)] where weights & bit != 0 {
            marks += letter
        }
        return "'" + word + "'" + (marks.isEmpty ? "" : ":" + marks)
    }
}

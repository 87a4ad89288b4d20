internal import PostgresWire

/// How a statement's own text has ended the transaction that it was said in.
enum TransactionEnd {
    case committed, rolledBack, prepared

    /// What the server has answered says it, but for one thing that only the text tells: ROLLBACK from ROLLBACK TO a savepoint.
    init?(_ result: WireResult, of text: [UInt8]) {
        if result.isTagged("COMMIT") {
            self = .committed
        } else if result.isTagged("PREPARE TRANSACTION") {
            self = .prepared
        } else if result.isTagged("ROLLBACK"), !Self.goesBackToSavepoint(text) {
            self = .rolledBack
        } else {
            return nil
        }
    }

    /// For nearly every statement this is all that there is to see.
    @inline(__always)
    static func isConceivable(_ result: WireResult) -> Bool {
        switch result.tagInitial {
        case UInt8(ascii: "C"), UInt8(ascii: "R"), UInt8(ascii: "P"): true
        default: false
        }
    }

    private static func goesBackToSavepoint(_ text: [UInt8]) -> Bool {
        var words = LeadingWords(String(decoding: text, as: UTF8.self).lowercased())
        guard words.next() == "rollback" else { return false }
        let second = words.next()
        return second == "to" || (["work", "transaction"].contains(second) && words.next() == "to")
    }
}

extension SQLQuery {
    /// Whether something stays once the server has executed it, by its first word.
    var wouldCommit: Bool {
        guard let first = utf8.first(where: { $0 > 0x20 }) else { return false }
        switch first | 0x20 {
        // A comment's beginning is among them, with the bit set that makes letters small.
        case UInt8(ascii: "c"), UInt8(ascii: "e"), UInt8(ascii: "p"), UInt8(ascii: "-"), UInt8(ascii: "/"),
            UInt8(ascii: ";"):
            break
        default: return false
        }
        var words = LeadingWords(text.lowercased())
        switch words.next() {
        case "commit", "end": return true
        case "prepare": return words.next() == "transaction"
        default: return false
        }
    }
}

internal import PostgresWire
internal import Synchronization

/// The texts of statements whose tables have changed under them, as one connection of an engine has found out: so that the
/// others prepare them anew before they fail too.
final class StaleTexts: Sendable {
    /// How many there have been.
    private let total = Atomic<Int>(0)
    /// The latest.
    private let latest = Mutex<[[UInt8]]>([])
    private static let kept = 64

    var count: Int { total.load(ordering: .relaxed) }

    /// Returns how many there have been, this one included.
    func add(_ text: [UInt8]) -> Int {
        latest.withLock { latest in
            if latest.count == Self.kept { latest.removeFirst() }
            latest.append(text)
            return total.add(1, ordering: .relaxed).newValue
        }
    }

    /// Those after the first `seen`, as far as they are kept, and how many there have been.
    func after(_ seen: Int) -> (texts: ArraySlice<[UInt8]>, count: Int) {
        latest.withLock { latest in
            let count = total.load(ordering: .relaxed)
            return (latest.suffix(count - seen), count)
        }
    }
}

extension WireServerError {
    /// "cached plan must not change result type", in whatever language: a table has changed under a prepared statement.
    /// "cache lookup failed for type", which is never translated: a type was dropped under it, and it would fail for ever.
    var isStalePlan: Bool {
        sqlState == "0A000" && (routine == "RevalidateCachedQuery" || message.contains("cached plan"))
            || sqlState == "XX000" && message.contains("cache lookup failed")
    }
    /// The prepared statement is gone from the server, or its name is taken.
    var isVanishedStatement: Bool { sqlState == "26000" || sqlState == "42P05" }
    /// A column's type has no binary form (aclitem, for one): the statement is said again, for text.
    var lacksBinaryForm: Bool {
        sqlState == "42883"
            && ["getTypeBinaryOutputInfo", "array_send", "get_range_io_data", "get_multirange_io_data"].contains(
                routine)
    }
    /// Repairable by preparing again, or asking for text, where nothing is lost by sending again.
    var isStaleStatement: Bool { isStalePlan || isVanishedStatement || lacksBinaryForm }
}

extension WireResult {
    /// The first value of the first row, as text.
    var firstText: String? {
        rowCount > 0 ? cell(row: 0, column: 0).map { String(decoding: $0, as: UTF8.self) } : nil
    }
}

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

    func add(_ text: [UInt8]) {
        latest.withLock { latest in
            if latest.count == Self.kept { latest.removeFirst() }
            latest.append(text)
            total.add(1, ordering: .relaxed)
        }
    }

    /// Whether it has gone stale so often that its words seem to mean one table now and another one then, as where each tenant has a
    /// search path of his own.
    func isRestless(_ text: [UInt8]) -> Bool {
        latest.withLock { latest in latest.count { $0 == text } >= Self.mostTimes }
    }
    private static let mostTimes = 3

    /// Those after the first `seen`, as far as they are kept, and how many there have been.
    func after(_ seen: Int) -> (texts: ArraySlice<[UInt8]>, count: Int) {
        latest.withLock { latest in
            let count = total.load(ordering: .relaxed)
            return (latest.suffix(count - seen), count)
        }
    }
}

extension PhysicalConnection {
    /// A statement that has vanished or no longer fits is forgotten, so that its next use prepares it anew. Whether the types of its
    /// parameters no longer fit; one that is `isFresh` was prepared just now.
    @discardableResult
    func noteFailure(_ error: WireServerError, of entry: StatementCache.Entry, isFresh: Bool) -> Bool {
        if error.isVanishedStatement {
            cache.forgetAll()
            return false
        }
        let hasSettledTypes = !isFresh && entry.types.contains(0)
        let isOutlived = hasSettledTypes && error.blamesTypes
        if hasSettledTypes && error.blamesParameter { cache.forget(entry) }
        guard error.isStalePlan || isOutlived else { return false }
        cache.forget(entry)
        // Like the others, this connection hears of it before its next flight.
        staleTexts.add(entry.text)
        return isOutlived
    }

    @inline(never)
    func forgetStaleTexts() {
        let news = staleTexts.after(knownStaleTexts)
        for text in news.texts {
            cache.forget(text)
            if staleTexts.isRestless(text) { cache.keepNoMore(text) }
        }
        knownStaleTexts = news.count
    }
}

extension WireServerError {
    /// "cached plan must not change result type", in whatever language: a table has changed under a prepared statement.
    /// "cache lookup failed for type", which is never translated: a type was dropped under it, and it would fail for ever.
    var isStalePlan: Bool {
        sqlState == "0A000" && (routine == "RevalidateCachedQuery" || message.contains("cached plan"))
            || sqlState == "XX000" && message.contains("cache lookup failed")
    }
    /// A parameter without a type got one when its statement was prepared, and keeps it, whatever has become of the column since: its
    /// type was altered, or the search path leads to another table. The words are refused, not what a function says inside.
    var blamesTypes: Bool {
        position != nil && context == nil && ["42883", "42804", "42846", "42725"].contains(sqlState)
    }
    /// The text of a parameter does not read as its type, which may be one that it got long ago: "unnamed portal parameter $1".
    var blamesParameter: Bool {
        sqlState.hasPrefix("22") && context.map { $0.contains("$") && !$0.contains("\n") } ?? false
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

/// An interval's text in each of the server's four styles (`EncodeInterval` in datetime.c): postgres, postgres_verbose,
/// sql_standard and iso_8601. They do not contradict each other.
struct IntervalText {
    private var months: Int128 = 0
    private var days: Int128 = 0
    private var microseconds: Int128 = 0

    /// nil when the text is no interval, or one that the server could not hold.
    static func read(_ text: some StringProtocol) -> SQLInterval? {
        switch text {
        case "infinity": return SQLInterval(months: .max, days: .max, microseconds: .max)
        case "-infinity": return SQLInterval(months: .min, days: .min, microseconds: .min)
        default: break
        }
        var interval = IntervalText()
        let isRead = text.hasPrefix("P") ? interval.readISO(text.dropFirst()) : interval.readWords(text)
        guard isRead, let months = Int32(exactly: interval.months), let days = Int32(exactly: interval.days),
            let microseconds = Int64(exactly: interval.microseconds)
        else { return nil }
        return SQLInterval(months: months, days: days, microseconds: microseconds)
    }

    /// `1Y2M-3DT4H5M6.5S`
    private mutating func readISO(_ text: some StringProtocol) -> Bool {
        var number = ""
        var isTime = false
        for letter in text {
            switch letter {
            case "0"..."9", "-", "+", ".": number.append(letter)
            case "T" where number.isEmpty && !isTime: isTime = true
            default:
                let unit =
                    isTime
                    ? ["H": "hour", "M": "min", "S": "sec"][letter] : ["Y": "year", "M": "mon", "D": "day"][letter]
                guard let unit, add(number, unit, isNegative: false) else { return false }
                number = ""
            }
        }
        return number.isEmpty && text.last?.isLetter == true && text.last != "T"
    }

    /// `1 year -2 mons +04:05:06.5`, `@ 1 year 4 hours ago`, `-1-2 +3 -4:05:06`, `-3 4:05:06`.
    private mutating func readWords(_ text: some StringProtocol) -> Bool {
        var words = text.split { $0 == " " }.map { String($0) }[...]
        let isVerbose = words.first == "@"
        if isVerbose { words.removeFirst() }
        let isAgo = isVerbose && words.last == "ago"
        if isAgo { words.removeLast() }
        guard !words.isEmpty else { return false }
        // In sql_standard, one sign is that of everything behind it; where signs differ, all are written.
        var isNegative = false
        while let word = words.popFirst() {
            if word.hasPrefix("-") || word.hasPrefix("+") {
                isNegative = word.hasPrefix("-")
            } else if isVerbose {
                isNegative = false
            }
            let digits = word.hasPrefix("-") || word.hasPrefix("+") ? String(word.dropFirst()) : word
            guard addWord(digits, next: &words, isNegative) else { return false }
        }
        if isAgo { (months, days, microseconds) = (-months, -days, -microseconds) }
        return true
    }

    private mutating func addWord(_ digits: String, next words: inout ArraySlice<String>, _ isNegative: Bool) -> Bool {
        if digits.contains(":") {
            let parts = digits.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard (2...3).contains(parts.count) else { return false }
            return zip(parts, ["hour", "min", "sec"]).allSatisfy { add($0, $1, isNegative: isNegative) }
        }
        if digits.contains("-") {
            let parts = digits.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
            return parts.count == 2 && add(parts[0], "year", isNegative: isNegative)
                && add(parts[1], "mon", isNegative: isNegative)
        }
        guard let unit = words.first, unit.first?.isLetter == true else {
            // Days alone have a unit, or a time behind them.
            guard digits == "0" || words.first?.contains(":") == true else { return false }
            return add(digits, "day", isNegative: isNegative)
        }
        words.removeFirst()
        return add(digits, unit.hasSuffix("s") ? String(unit.dropLast()) : unit, isNegative: isNegative)
    }

    private mutating func add(_ number: String, _ unit: String, isNegative: Bool) -> Bool {
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 1 || unit == "sec", let first = parts.first, first.utf8.count < 21,
            let whole = Int128(first)
        else { return false }
        let isBelowZero = isNegative || first.hasPrefix("-")
        var amount = isNegative ? -whole : whole
        switch unit {
        case "year": months += amount * 12
        case "mon": months += amount
        case "day": days += amount
        case "hour": microseconds += amount * 3_600_000_000
        case "min": microseconds += amount * 60_000_000
        case "sec":
            amount *= 1_000_000
            if parts.count == 2 {
                guard (1...6).contains(parts[1].utf8.count), let fraction = UInt32(parts[1]) else { return false }
                let scaled = (parts[1].utf8.count..<6).reduce(Int128(fraction)) { scaled, _ in scaled * 10 }
                amount += isBelowZero ? -scaled : scaled
            }
            microseconds += amount
        default: return false
        }
        return true
    }
}

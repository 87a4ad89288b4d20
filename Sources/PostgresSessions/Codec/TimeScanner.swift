/// Reads dates, times and offsets in ISO form: what PostgreSQL prints with DateStyle ISO, and what JSON holds.
struct TimeScanner {
    private var rest: Substring.UTF8View

    init(_ text: some StringProtocol) { rest = Substring(text).trimmedUTF8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard let next = rest.first, next == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    mutating func digits(_ count: ClosedRange<Int>) -> Int? {
        var value = 0
        var seen = 0
        while seen < count.upperBound, let next = rest.first, (48...57).contains(next) {
            value = value * 10 + Int(next - 48)
            rest.removeFirst()
            seen += 1
        }
        return seen >= count.lowerBound ? value : nil
    }

    /// `2026-11-22`; the year as written.
    mutating func date() -> (year: Int, month: Int, day: Int)? {
        guard let year = digits(4...7), skip("-"), let month = digits(2...2), skip("-"), let day = digits(2...2) else {
            return nil
        }
        return (year, month, day)
    }

    /// `20:22:45.123456` as microseconds; the seconds may be missing, and 24:00 is the day's end.
    mutating func clock() -> Int64? {
        guard let hours = digits(2...2), hours <= 24, skip(":"), let minutes = digits(2...2), minutes < 60 else {
            return nil
        }
        var total = Int64(hours * 3600 + minutes * 60) * 1_000_000
        if skip(":") {
            guard let seconds = digits(2...2), seconds <= 60 else { return nil }
            total += Int64(seconds) * 1_000_000
            if skip(".") {
                guard let fraction = fraction() else { return nil }
                total += fraction
            }
        }
        return total <= ClockForm.microsecondsPerDay ? total : nil
    }

    /// Digits after a point, as microseconds, rounded to the nearest.
    mutating func fraction() -> Int64? {
        var value: Int64 = 0
        var seen = 0
        var roundsUp = false
        while let next = rest.first, (48...57).contains(next) {
            if seen < 6 { value = value * 10 + Int64(next - 48) }
            if seen == 6 { roundsUp = next >= 53 }
            rest.removeFirst()
            seen += 1
        }
        guard seen > 0 else { return nil }
        for _ in min(seen, 6)..<6 { value *= 10 }
        return value + (roundsUp ? 1 : 0)
    }

    /// `Z`, `+02`, `+0200`, `-03:30:15` in seconds east of Greenwich; 0 when there is none.
    mutating func offset() -> Int? {
        if skip("Z") || skip("z") { return 0 }
        let isEast = skip("+")
        guard isEast || skip("-") else { return 0 }
        guard let hours = digits(2...2) else { return nil }
        var seconds = hours * 3600
        if skip(":") || !(isAtEnd || rest.first == UInt8(ascii: " ")) {
            guard let minutes = digits(2...2), minutes < 60 else { return nil }
            seconds += minutes * 60
            if skip(":") {
                guard let more = digits(2...2), more < 60 else { return nil }
                seconds += more
            }
        }
        return isEast ? seconds : -seconds
    }

    /// A trailing ` BC`.
    mutating func beforeChrist() -> Bool {
        guard skip(" "), skip("B"), skip("C") else { return false }
        return true
    }

    /// Microseconds since 2000-01-01 00:00 UTC of a date, a timestamp, or a timestamp with an offset.
    static func timestamp(_ text: some StringProtocol) -> Int64? {
        var scanner = TimeScanner(text)
        guard let (year, month, day) = scanner.date() else { return nil }
        var clock: Int64 = 0
        var offset = 0
        if scanner.skip("T") || (scanner.rest.dropFirst().first ?? 66) != 66 && scanner.skip(" ") {
            guard let time = scanner.clock(), let east = scanner.offset() else { return nil }
            (clock, offset) = (time, east)
        }
        let isBeforeChrist = scanner.beforeChrist()
        guard scanner.isAtEnd, !isBeforeChrist || year >= 1,
            let civil = CivilDay(year: isBeforeChrist ? 1 - year : year, month: month, day: day)
        else { return nil }
        let (midnight, overflow) = Int64(civil.daysSince2000).multipliedReportingOverflow(
            by: ClockForm.microsecondsPerDay)
        guard !overflow else { return nil }
        let (moment, carry) = midnight.addingReportingOverflow(clock - Int64(offset) * 1_000_000)
        return carry ? nil : moment
    }
}

extension Substring {
    fileprivate var trimmedUTF8: Substring.UTF8View { String(self).trimmingSpaces().utf8 }
}

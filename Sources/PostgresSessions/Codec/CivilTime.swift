/// A day of the proleptic Gregorian calendar, which is PostgreSQL's.
struct CivilDay: Equatable {
    /// Astronomical: year 0 is 1 BC.
    var year: Int
    var month: Int
    var day: Int

    static let daysFrom1970To2000 = 10_957

    /// Days since 2000-01-01, as PostgreSQL counts. Years are counted from March, so that a leap day is a year's last.
    init(daysSince2000 days: Int) {
        let shifted = days + Self.daysFrom1970To2000 + 719_468  // days since 0000-03-01
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// nil when there is no such day.
    init?(year: Int, month: Int, day: Int) {
        guard (1...12).contains(month), (1...31).contains(day), year.magnitude < 10_000_000 else { return nil }
        (self.year, self.month, self.day) = (year, month, day)
        guard CivilDay(daysSince2000: daysSince2000) == self else { return nil }
    }

    var daysSince2000: Int {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468 - Self.daysFrom1970To2000
    }

    var isBeforeChrist: Bool { year <= 0 }

    /// `2026-11-22`, without the `BC` that years before 1 need behind the time.
    var text: String {
        let shown = isBeforeChrist ? 1 - year : year
        return "\(shown.padded(to: 4))-\(month.padded(to: 2))-\(day.padded(to: 2))"
    }
}

/// Microseconds since midnight, as text.
enum ClockForm {
    static let microsecondsPerDay: Int64 = 86_400_000_000

    /// A moment since 2000 as its day and the time of that day, which is never negative.
    static func split(_ moment: Int64) -> (day: CivilDay, clock: Int64) {
        var (days, clock) = moment.quotientAndRemainder(dividingBy: microsecondsPerDay)
        if clock < 0 { (days, clock) = (days - 1, clock + microsecondsPerDay) }
        return (CivilDay(daysSince2000: Int(days)), clock)
    }

    static func text(microseconds: Int64) -> String {
        let seconds = microseconds / 1_000_000
        let clock = [seconds / 3600, seconds / 60 % 60, seconds % 60].map { Int($0).padded(to: 2) }.joined(
            separator: ":")
        return clock + fraction(microseconds % 1_000_000)
    }

    /// `.25`, without zeros at the end; empty for none.
    static func fraction(_ microseconds: Int64) -> String {
        guard microseconds != 0 else { return "" }
        var digits = Int(microseconds.magnitude).padded(to: 6)
        while digits.last == "0" { digits.removeLast() }
        return "." + digits
    }

    /// `+02`, `-03:30`: seconds east of Greenwich.
    static func offset(secondsEast seconds: Int) -> String {
        let distance = seconds.magnitude
        var text = (seconds < 0 ? "-" : "+") + Int(distance / 3600).padded(to: 2)
        if distance % 3600 != 0 { text += ":" + Int(distance / 60 % 60).padded(to: 2) }
        if distance % 60 != 0 { text += ":" + Int(distance % 60).padded(to: 2) }
        return text
    }
}

extension Int {
    func padded(to width: Int) -> String {
        let digits = String(magnitude)
        return (self < 0 ? "-" : "") + String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}

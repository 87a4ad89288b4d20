internal import CLibPQ

/// A moment on the machine's monotonic clock, in nanoseconds since an arbitrary origin.
package struct Monotonic: Hashable, Comparable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static var now: Monotonic { Monotonic(nanoseconds: cpq_monotonic_nanoseconds()) }

    /// A little in the past: up to a tick of the kernel's, mostly 4 ms.
    package static var recent: Monotonic { Monotonic(nanoseconds: cpq_recent_monotonic_nanoseconds()) }

    package static func < (a: Monotonic, b: Monotonic) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Saturates instead of overflowing, so that "a century from now" is a legal deadline.
    package func advanced(by duration: Duration) -> Monotonic {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.inNanoseconds)
        return Monotonic(nanoseconds: overflow ? .max : sum)
    }

    package func duration(to other: Monotonic) -> Duration { .nanoseconds(other.nanoseconds &- nanoseconds) }
}

extension Duration {
    /// Whole nanoseconds, at most some 146 years of them either way, so that a moment of today can be added.
    package var inNanoseconds: Int64 {
        let longest = Int64.max / 2
        guard self < .nanoseconds(longest) else { return longest }
        guard self > .nanoseconds(-longest) else { return -longest }
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}

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
    /// Whole nanoseconds, saturating.
    package var inNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, carried) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? .max : sum
    }
}

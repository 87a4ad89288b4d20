/// A moment on the shell's monotonic clock. The machine compares and adds instants and never asks what time it is.
package struct PoolInstant: Hashable, Comparable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// Later than every promise: "never".
    package static var distantFuture: PoolInstant { PoolInstant(nanoseconds: .max) }

    package static func < (left: PoolInstant, right: PoolInstant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant some nanoseconds later; past the end of time it stays ``distantFuture``.
    package static func + (instant: PoolInstant, nanoseconds: Int64) -> PoolInstant {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(nanoseconds)
        return overflow ? .distantFuture : PoolInstant(nanoseconds: sum)
    }

    package static func - (instant: PoolInstant, nanoseconds: Int64) -> PoolInstant {
        instant + -nanoseconds
    }

    /// The nanoseconds between two instants.
    package static func - (later: PoolInstant, earlier: PoolInstant) -> Int64 {
        later.nanoseconds.subtractingReportingOverflow(earlier.nanoseconds).partialValue
    }
}

extension Int64 {
    /// Durations in the pool are nanoseconds; these two keep configurations and tests readable.
    package static func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }
    package static func seconds(_ count: Int64) -> Int64 { count * 1_000_000_000 }
}

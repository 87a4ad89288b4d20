import PoolCore
import Testing

@testable import PostgresSessions

@Suite struct `How long a connection was idle` {
    private func isLong(_ since: Int64, _ now: Int64, _ threshold: Int64) -> Bool {
        ConnectionPool.isLong(
            from: PoolInstant(nanoseconds: since), to: PoolInstant(nanoseconds: now), threshold: threshold)
    }

    @Test func `counts from the threshold on`() {
        #expect(!isLong(100, 149, 50))
        #expect(isLong(100, 150, 50))
        #expect(isLong(100, 151, 50))
    }

    /// Loans read the clock's last tick, which lies up to 4 ms before the instant that a reset's end noted.
    @Test func `is no time where the clock's last tick lies before it`() {
        #expect(isLong(4_000_000, 0, 0))
        #expect(!isLong(4_000_000, 0, 1))
    }

    @Test func `is never long where nothing is in doubt`() {
        #expect(!isLong(0, .max - 1, .max))
    }
}

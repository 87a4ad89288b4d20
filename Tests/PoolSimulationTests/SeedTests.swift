import PoolSimulation
import Testing

/// World 2. Continuous integration plays thousands of seeds with `pool-simulator --seeds`; these are for every build.
@Suite struct `A simulated world` {
    @Test(arguments: [UInt64(0), 100, 200])
    func `breaks no promise, and each seed plays the same way twice`(start: UInt64) {
        let report = SeedRange(start..<start + 30).play()
        #expect(report.failures.isEmpty)
        #expect(report.seeds == 30)
    }

    @Test func `visits every place worth visiting`() {
        var missed = Set(Mark.allCases)
        for seed in UInt64(1000)..<1400 where !missed.isEmpty { missed.subtract(Simulation.run(seed: seed).marks) }
        #expect(missed.isEmpty)
    }

    @Test func `differs from seed to seed`() {
        let digests = (UInt64(0)..<20).map { Simulation.run(seed: $0).digest }
        #expect(Set(digests).count == digests.count)
    }

    /// Each line of this list is a seed that once failed, and why.
    @Test(arguments: [
        (UInt64(1), "a reset that emptied the hands of all borrowers made the pool look cold, and nobody acted on it"),
        (10, "an event that came after a due time, but before the late timer, was blamed for what the timer owed"),
        (1259, "a connection was being replaced at the very moment of the last look"),
    ])
    func `remembers the seeds that once failed`(seed: UInt64, story: String) {
        #expect(Simulation.run(seed: seed).failure == nil, "\(story)")
    }
}

import PoolSimulation
import Testing

/// World 1. The small ones are explored to the end here; `pool-simulator --exhaustive` explores all of them.
@Suite struct `Every order of events` {
    @Test(arguments: ModelChecker.subjects)
    func `keeps every promise, and from every state a healthy server ends all waiting`(subject: ModelChecker.Subject) {
        var checker = ModelChecker(subject.configuration, subject.alphabet)
        let report = checker.run(limit: 1500)
        #expect(report.failure == nil)
        #expect(report.isComplete || report.states >= 1500)
    }

    @Test func `is explored to the end for one connection`() throws {
        let subject = try #require(ModelChecker.subjects.first)
        var checker = ModelChecker(subject.configuration, subject.alphabet)
        let report = checker.run()
        #expect(report.isComplete && report.failure == nil)
        #expect(report.states > 500)
    }
}

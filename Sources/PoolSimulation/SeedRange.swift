/// Many seeds, each played twice: a simulation that differs from itself is a bug of its own.
package struct SeedRange: Sendable {
    package struct Report: Sendable, CustomStringConvertible {
        package var seeds = 0
        package var events = 0
        package var checkouts: UInt64 = 0
        package var opened: UInt64 = 0
        package var marks: Set<Mark> = []
        package var failures: [String] = []

        package var missedMarks: [Mark] { Mark.allCases.filter { !marks.contains($0) } }

        package var description: String {
            var text =
                "\(seeds) seeds, each twice: \(events) events, \(checkouts) checkouts, \(opened) connections opened; "
            text += "marks \(marks.count) of \(Mark.allCases.count)"
            if !missedMarks.isEmpty { text += ", missed: \(missedMarks.map(\.rawValue).joined(separator: " "))" }
            text += failures.isEmpty ? "; no promise broken" : "\n" + failures.joined(separator: "\n\n")
            return text
        }
    }

    let seeds: Range<UInt64>

    package init(_ seeds: Range<UInt64>) {
        self.seeds = seeds
    }

    /// Stops after a few failures: they are mostly the same one.
    package func play() -> Report {
        var report = Report()
        for seed in seeds where report.failures.count < 3 {
            let outcome = Simulation.run(seed: seed)
            report.seeds += 1
            report.events += outcome.events
            report.checkouts += outcome.checkouts
            report.opened += outcome.opened
            report.marks.formUnion(outcome.marks)
            if let failure = outcome.failure {
                report.failures.append(describe(failure, seed))
            } else if Simulation.run(seed: seed).digest != outcome.digest {
                report.failures.append("seed \(seed): two runs differ")
            }
        }
        return report
    }

    private func describe(_ failure: Simulation.Failure, _ seed: UInt64) -> String {
        """
        seed \(seed): \(failure.promise)
        \(failure.configuration)
        \(failure.lastLines.joined(separator: "\n"))
        replay: swift run -c release pool-simulator --seed \(seed)
        """
    }
}

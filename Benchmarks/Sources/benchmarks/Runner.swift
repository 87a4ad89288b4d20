import Foundation
import PostgresSessionsTesting

/// Runs the races against one server and prints what came out.
struct Runner {
    var rounds = 5
    var seconds = 2.0
    var only: Set<String> = []

    /// Returns whether every target was met.
    func run(url: String) async throws -> Bool {
        print(
            "\(rounds) rounds of \(seconds) s each, everybody in turn; medians; load average before: \(loadAverage())")
        print(Race.legend)
        print("CPU is user + system time of the client process alone. Ratios are medians of each round's ratio.")
        let accounts = try await Accounts.create(url: url)
        do {
            let isGood = try await runAll(url: url)
            try await accounts.drop(url: url)
            return isGood
        } catch {
            try? await accounts.drop(url: url)
            throw error
        }
    }

    private func runAll(url: String) async throws -> Bool {
        let proxy = try await FaultProxy.start(to: url)
        proxy.latency = .milliseconds(1)
        let races: [(race: Race, url: String)] = [
            (.select, url), (.checkout(tasks: 1), url), (.checkout(tasks: 8), url), (.checkout(tasks: 1024), url),
            (.transaction(isNear: true), url), (.transaction(isNear: false), proxy.url),
            (.cancellation, url),
            (.rows, url), (.copy, url), (.copyOut, url), (.batch, url),
        ].filter { race, _ in only.isEmpty || only.contains(race.name) }
        var results = races.map { _ in Results() }
        for round in 1...rounds {
            for (index, (race, url)) in races.enumerated() {
                note("round \(round) of \(rounds): \(race.title)")
                results[index].add(try await turn(of: race, url: url))
            }
        }
        await proxy.stop()
        var isGood = true
        for (index, (race, _)) in races.enumerated() {
            Report(race: race, results: results[index]).print()
            for target in race.targets where !target.isMet(results[index]) { isGood = false }
        }
        return isGood
    }

    /// Everybody once, each in a process of its own.
    private func turn(of race: Race, url: String) async throws -> [String: Measurement] {
        var measurements: [String: Measurement] = [:]
        for entrant in race.entrants {
            let output = try ChildProgram.run(
                CommandLine.arguments[0],
                [
                    "contestant", entrant.contestant.rawValue, url, "\(entrant.clients)", "8", "\(Accounts.count)",
                    "\(race.unit == .cycles ? seconds / 2 : seconds)",
                ])
            guard let measurement = Measurement(output: output) else {
                throw BenchmarkError("\(entrant.label) did not finish: \(output)")
            }
            measurements[entrant.label] = measurement
        }
        return measurements
    }

    private func loadAverage() -> String {
        var loads = [0.0, 0, 0]
        guard getloadavg(&loads, 3) > 0 else { return "unknown" }
        return "\((loads[0] * 100).rounded() / 100)"
    }

    private func note(_ text: String) { FileHandle.standardError.write(Data("  \(text)\n".utf8)) }
}

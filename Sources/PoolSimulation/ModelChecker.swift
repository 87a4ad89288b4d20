package import PoolCore

/// World 1: every order of events that can happen to a tiny pool, breadth first, so that the first violation found has
/// the shortest history. A pool is a value: copying it is travelling back in time.
package struct ModelChecker {
    package struct Report: Sendable, CustomStringConvertible {
        package var states = 0
        package var transitions = 0
        package var depth = 0
        /// The search ended because nothing new was left, not because of the limit.
        package var isComplete = false
        package var failure: Failure?

        package var description: String {
            if let failure { return "BROKEN \(failure)" }
            return
                "\(states) states, \(transitions) transitions, depth \(depth)\(isComplete ? ", complete" : ", cut off")"
        }
    }

    package struct Failure: Sendable, CustomStringConvertible {
        package let promise: String
        package let path: [String]

        package var description: String {
            "\(promise)\nafter\n" + path.enumerated().map { "  \($0 + 1). \($1)" }.joined(separator: "\n")
        }
    }

    private struct Node {
        var machine: PoolStateMachine
        var oracle: Oracle
        var now: PoolInstant
        var history: Int
        var depth: Int
    }

    private struct Step {
        let parent: Int
        let event: PoolEvent
        let at: PoolInstant
    }

    let configuration: PoolConfiguration
    let alphabet: Alphabet
    private var steps: [Step] = []
    private var seen: Set<[Int64]> = []

    package init(_ configuration: PoolConfiguration, _ alphabet: Alphabet) {
        self.configuration = configuration
        self.alphabet = alphabet
    }

    package mutating func run(limit: Int = .max) -> Report {
        var report = Report()
        let start = Node(
            machine: PoolStateMachine(configuration), oracle: Oracle(configuration),
            now: PoolInstant(nanoseconds: 0), history: -1, depth: 0)
        var level = [start]
        seen.insert(start.machine.fingerprint)
        while !level.isEmpty {
            var next: [Node] = []
            for node in level {
                if let failure = expand(node, into: &next, &report) {
                    report.failure = failure
                    return report
                }
                guard seen.count < limit else {
                    report.states = seen.count
                    return report
                }
            }
            level = next
            if !level.isEmpty { report.depth += 1 }
        }
        report.states = seen.count
        report.isComplete = true
        return report
    }

    private mutating func expand(_ node: Node, into next: inout [Node], _ report: inout Report) -> Failure? {
        if let promise = LivenessCheck.run(from: node.machine, at: node.now) {
            return Failure(promise: promise, path: path(to: node.history))
        }
        for (event, instant) in alphabet.events(for: node.machine, at: node.now) {
            var child = node
            child.now = instant
            child.depth += 1
            report.transitions += 1
            var effects = PoolEffects()
            child.machine.apply(event, at: instant, into: &effects)
            var promise: String?
            do throws(Oracle.Violation) {
                try child.oracle.observe(event, Array(effects), at: instant, snapshot: child.machine.snapshot)
            } catch {
                promise = error.description
            }
            if promise == nil { promise = child.machine.brokenInvariants().first }
            if let promise {
                return Failure(promise: promise, path: path(to: node.history) + [describe(event, instant)])
            }
            guard seen.insert(child.machine.fingerprint).inserted else { continue }
            steps.append(Step(parent: node.history, event: event, at: instant))
            child.history = steps.count - 1
            next.append(child)
        }
        return nil
    }

    private func path(to history: Int) -> [String] {
        var (path, place) = ([String](), history)
        while place >= 0 {
            path.append(describe(steps[place].event, steps[place].at))
            place = steps[place].parent
        }
        return path.reversed()
    }

    private func describe(_ event: PoolEvent, _ instant: PoolInstant) -> String {
        "\(instant.nanoseconds): \(event)"
    }
}

import Foundation

/// One kind of work, and everybody who does it. They take turns, round after round, so that what disturbs the machine
/// disturbs them all.
struct Race: Sendable {
    var name: String
    var title: String
    var entrants: [Entrant]
    /// Whose figures the others' are divided by.
    var references: [String]
    var unit = Unit.queries
    var targets: [Target] = []

    enum Unit { case queries, cycles, rows }

    struct Entrant: Sendable {
        var label: String
        var contestant: Contestant
        var clients = 8
    }

    /// A promise: the ratio of two entrants' figures, or one figure, against a threshold.
    struct Target: Sendable {
        var sentence: String
        var isMet: @Sendable (Results) -> Bool
        var value: @Sendable (Results) -> String
    }
}

/// What a race's rounds have shown.
struct Results: Sendable {
    private(set) var rounds: [[String: Measurement]] = []

    mutating func add(_ round: [String: Measurement]) { rounds.append(round) }

    /// The median over the rounds.
    func median(_ label: String, _ figure: (Measurement) -> Double) -> Double {
        rounds.compactMap { $0[label].map(figure) }.median
    }

    /// The median of the rounds' ratios: both sides of a ratio were measured within seconds.
    func ratio(_ label: String, to reference: String, _ figure: (Measurement) -> Double) -> Double {
        rounds.compactMap { round in
            guard let own = round[label], let other = round[reference] else { return nil }
            return figure(own) / figure(other)
        }.median
    }
}

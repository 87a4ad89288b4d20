import PoolCore

/// Where all chance of a simulation comes from: one seed, one stream.
struct Choices: Sendable {
    private var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    mutating func sometimes(_ probability: Double) -> Bool {
        probability > 0 && Double.random(in: 0..<1, using: &generator) < probability
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
    mutating func time(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &generator) }
    mutating func word() -> UInt64 { generator.next() }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[number(0...elements.count - 1)]
    }

    /// A fault is switched on in one simulation out of two, at a rate of its own (swarm testing).
    mutating func rate(upTo most: Double) -> Double {
        sometimes(0.5) ? Double.random(in: 0...most, using: &generator) : 0
    }
}

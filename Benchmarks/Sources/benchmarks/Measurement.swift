import Foundation

/// What one contestant did in one round.
struct Measurement {
    var operations: Int
    var wallNanoseconds: Double
    /// User and system time of the client process alone.
    var cpuNanoseconds: Double
    /// Statements that were cancelled on the way.
    var cancelled = 0
    /// Connections opened after the pool was full for the first time.
    var reconnects = 0
    /// The most memory that the process ever held.
    var peakMebibytes = Stopwatch.peakMebibytes()

    var perSecond: Double { Double(operations) / wallNanoseconds * 1e9 }
    var wallPerOperation: Double { wallNanoseconds / Double(operations) }
    var cpuPerOperation: Double { cpuNanoseconds / Double(operations) }

    /// As a contestant's process hands it to the runner.
    var line: String {
        "measured \(operations) \(Int(wallNanoseconds)) \(Int(cpuNanoseconds)) \(cancelled) \(reconnects) \(Int(peakMebibytes))"
    }

    init(operations: Int, wallNanoseconds: Double, cpuNanoseconds: Double) {
        self.operations = operations
        self.wallNanoseconds = wallNanoseconds
        self.cpuNanoseconds = cpuNanoseconds
    }

    init?(output: String) {
        guard let line = output.split(separator: "\n").last(where: { $0.hasPrefix("measured ") }) else { return nil }
        let numbers = line.split(separator: " ").dropFirst().compactMap { Double($0) }
        guard numbers.count == 6, numbers[0] > 0 else { return nil }
        self.init(operations: Int(numbers[0]), wallNanoseconds: numbers[1], cpuNanoseconds: numbers[2])
        (cancelled, reconnects) = (Int(numbers[3]), Int(numbers[4]))
        peakMebibytes = numbers[5]
    }
}

extension [Double] {
    var median: Double {
        let sorted = self.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

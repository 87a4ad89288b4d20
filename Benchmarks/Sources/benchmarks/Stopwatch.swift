import Foundation
import Synchronization

/// The phases of a timed run: everybody warms up, then counts, then stops. Read by every task, moved by one.
final class Stopwatch: Sendable {
    private let phase = Atomic<Int>(0)

    var isOver: Bool { phase.load(ordering: .relaxed) == 2 }
    var isCounting: Bool { phase.load(ordering: .relaxed) == 1 }

    /// Runs `clients` tasks until the time is over; each returns how many operations it counted.
    static func run(
        clients: Int, seconds: Double, executor: (any TaskExecutor)?,
        _ client: @escaping @Sendable (Stopwatch, Int) async throws -> Int
    ) async throws -> Measurement {
        let watch = Stopwatch()
        return try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<clients {
                group.addTask(executorPreference: executor) { try await client(watch, index) }
            }
            // Slept through on another thread: the executor's may be busy all the time.
            try await Task.sleep(for: .seconds(seconds / 10))
            let (cpu, start) = (Self.cpuNanoseconds(), ContinuousClock.now)
            watch.phase.store(1, ordering: .relaxed)
            try await Task.sleep(for: .seconds(seconds))
            watch.phase.store(2, ordering: .relaxed)
            let wall = ContinuousClock.now - start
            let used = Self.cpuNanoseconds() - cpu
            let operations = try await group.reduce(0, +)
            return Measurement(
                operations: operations, wallNanoseconds: wall / .nanoseconds(1), cpuNanoseconds: used)
        }
    }

    static func peakMebibytes() -> Double {
        #if canImport(Darwin)
            Double(usage().ru_maxrss) / 1_048_576
        #else
            Double(usage().ru_maxrss) / 1024
        #endif
    }

    /// User and system time that this process has used.
    static func cpuNanoseconds(children: Bool = false) -> Double {
        let usage = usage(children: children)
        func nanoseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e9 + Double(time.tv_usec) * 1e3 }
        return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime)
    }

    private static func usage(children: Bool = false) -> rusage {
        var usage = rusage()
        #if canImport(Darwin)
            getrusage(children ? RUSAGE_CHILDREN : RUSAGE_SELF, &usage)
        #else
            getrusage(__rusage_who_t((children ? RUSAGE_CHILDREN : RUSAGE_SELF).rawValue), &usage)
        #endif
        return usage
    }
}

import Foundation

/// `FULL_SIZE=1` in the environment: tests of endurance run at the size of their promise, for minutes. Otherwise at one
/// that takes seconds.
let isFullSize = ProcessInfo.processInfo.environment["FULL_SIZE"].map { !$0.isEmpty && $0 != "0" } ?? false

/// What a test of endurance has counted, for who runs it at full size.
func report(_ line: String) {
    if isFullSize { print("FULL_SIZE: \(line)") }
}

/// The seeds that an environment variable names, as `17` or `0..<100`; else so many, from 0 on.
func chosenSeeds(_ variable: String, _ count: UInt64, atFullSize fullCount: UInt64) -> [UInt64] {
    guard let text = ProcessInfo.processInfo.environment[variable] else {
        return Array(0..<(isFullSize ? fullCount : count))
    }
    let bounds = text.split(separator: "..<").compactMap { UInt64($0) }
    return bounds.count == 2 ? Array(bounds[0]..<bounds[1]) : bounds
}

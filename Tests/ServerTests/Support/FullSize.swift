import Foundation

/// `FULL_SIZE=1` in the environment: tests of endurance run at the size of their promise, for minutes. Otherwise at one
/// that takes seconds.
let isFullSize = ProcessInfo.processInfo.environment["FULL_SIZE"].map { !$0.isEmpty && $0 != "0" } ?? false

/// What a test of endurance has counted, for who runs it at full size.
func report(_ line: String) {
    if isFullSize { print("FULL_SIZE: \(line)") }
}

import Foundation
import Synchronization

/// The guide: prints, and remembers what was not as told.
final class Tour: Sendable {
    private struct State {
        var section = 0
        var checks = 0
        var failures = 0
    }

    private let state = Mutex(State())
    private let start = ContinuousClock.now

    func section(_ title: String, _ introduction: String) {
        let number = state.withLock { state in
            state.section += 1
            return state.section
        }
        say("\n── \(number). \(title) " + String(repeating: "─", count: max(3, 72 - title.count)))
        say(introduction)
    }

    func say(_ text: String) {
        // One write per line: lines of concurrent tasks stay whole.
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    /// A line that was measured at this moment.
    func live(_ text: String) {
        let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
        say("   \(milliseconds) ms  \(text)")
    }

    func check(_ isTrue: Bool, _ sentence: String) {
        state.withLock { state in
            state.checks += 1
            if !isTrue { state.failures += 1 }
        }
        say((isTrue ? "   ✓ " : "   ✗ NOT AS TOLD: ") + sentence)
    }

    /// Sums up; the program's exit status.
    func finish() -> Int32 {
        let state = state.withLock { $0 }
        let seconds = ((ContinuousClock.now - start) / .milliseconds(100)).rounded() / 10
        say("\(state.checks) checks, \(state.failures) failed, \(seconds) seconds.")
        return state.failures == 0 ? 0 : 1
    }
}

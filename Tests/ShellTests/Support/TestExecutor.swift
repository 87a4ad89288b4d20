import Foundation
import PostgresWire

/// `ON_ENGINE_EXECUTOR=1` in the environment: the tests' tasks run on the engine's executor, where flights are sent and
/// waited for in another way than elsewhere.
let testExecutor: (any TaskExecutor)? =
    ProcessInfo.processInfo.environment["ON_ENGINE_EXECUTOR"] == "1" ? EventLoops.shared : nil

/// Returns when each of the engine's loops has heard what its sockets have had until now.
func loopsHaveTurned() async {
    for _ in 0..<200 {
        await withCheckedContinuation { continuation in
            // From a thread that is no loop's, for a loop's own jobs stay with it.
            DispatchQueue.global().async {
                Task.detached(executorPreference: EventLoops.shared) { continuation.resume() }
            }
        }
    }
}

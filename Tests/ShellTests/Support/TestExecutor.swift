import Foundation
import PostgresWire

/// `ON_ENGINE_EXECUTOR=1` in the environment: the tests' tasks run on the engine's executor, where flights are sent and
/// waited for in another way than elsewhere.
let testExecutor: (any TaskExecutor)? =
    ProcessInfo.processInfo.environment["ON_ENGINE_EXECUTOR"] == "1" ? EventLoops.shared : nil

import PostgresSessionsTesting
import Synchronization

/// How many tests talk to servers at once: a machine with two cores shall not be what makes a deadline pass. A test's
/// time limit counts while it waits for its turn, too; hence the suites' limits are far above what one test takes.
private let turns = Turns(count: 4)

/// Runs the body when it is its turn. Inside a turn there is no further waiting.
func inTurn<R>(_ body: () async throws -> R) async throws -> R {
    if Turns.isHeld { return try await body() }
    await turns.take()
    defer { turns.giveBack() }
    return try await Turns.$isHeld.withValue(true) { try await body() }
}

/// A server of the test's own, which may be stopped and frozen. It is gone when the body ends.
func withServer<R>(
    settings: [String: String] = [:], ssl: Bool = false, password: String? = nil,
    _ body: (TemporaryPostgres) async throws -> R
) async throws -> R {
    try await inTurn {
        let server = try await TemporaryPostgres.start(settings: settings, ssl: ssl, password: password)
        do {
            let result = try await body(server)
            await server.stop()
            return result
        } catch {
            await server.stop()
            throw error
        }
    }
}

/// A number of turns, handed out in order of arrival.
private final class Turns: Sendable {
    @TaskLocal static var isHeld = false

    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(count: Int) { state = Mutex(State(free: count)) }

    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func giveBack() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.free += 1
            return nil
        }
        next?.resume()
    }
}

import PostgresSessions
import Synchronization
import Testing

/// What came of an attempt, in one comparable word.
enum Outcome: Hashable {
    case returned, cancelled
    case server(SQLState)
    case checkoutTimedOut, tooManyWaiters, connectFailed, connectionLost, commitOutcomeUnknown, transactionAborted
    case statementTimedOut, sessionClosed, invalidState, invalidConfiguration, decoding, encoding, unexpectedRowCount
    case shutDown
    case other(String)

    init(_ error: any Error) {
        switch error {
        case let error as ServerError: self = .server(error.sqlState)
        case let error as EngineError: self.init(engineError: error)
        case is CancellationError: self = .cancelled
        default: self = .other("\(error)")
        }
    }

    private init(engineError: EngineError) {
        self =
            switch engineError {
            case .checkoutTimedOut: .checkoutTimedOut
            case .tooManyWaiters: .tooManyWaiters
            case .connectFailed: .connectFailed
            case .connectionLost: .connectionLost
            case .commitOutcomeUnknown: .commitOutcomeUnknown
            case .transactionAborted: .transactionAborted
            case .statementTimedOut: .statementTimedOut
            case .sessionClosed: .sessionClosed
            case .invalidState: .invalidState
            case .invalidConfiguration: .invalidConfiguration
            case .decoding: .decoding
            case .encoding: .encoding
            case .unexpectedRowCount: .unexpectedRowCount
            case .shutDown: .shutDown
            @unknown default: .other("\(engineError)")
            }
    }
}

func outcome<R>(of body: () async throws -> R) async -> Outcome {
    do {
        _ = try await body()
        return .returned
    } catch {
        return Outcome(error)
    }
}

/// The error that the body ends with; a body that returns is the test's failure.
func failure<R>(
    of body: () async throws -> R, sourceLocation: SourceLocation = #_sourceLocation
) async throws -> any Error {
    do {
        _ = try await body()
    } catch {
        return error
    }
    throw Unmet("the body should have thrown", sourceLocation)
}

/// A condition that did not come true.
struct Unmet: Error, CustomStringConvertible {
    let description: String
    init(_ what: String, _ location: SourceLocation) { description = "\(what), at line \(location.line)" }
}

/// Waits until the condition holds: soon, as a rule, and at the latest when a loaded machine would have got there too.
func eventually(
    _ what: String, _ sourceLocation: SourceLocation = #_sourceLocation, within limit: Duration = .seconds(30),
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw Unmet("not within \(limit): \(what)", sourceLocation) }
        try await Task.sleep(for: .milliseconds(3))
    }
}

/// A failure of the user's own.
struct OutOfStock: Error, Equatable { var id = 7 }

/// What several tasks write down in turn.
final class Journal<Entry: Sendable>: Sendable {
    private let entries = Mutex<[Entry]>([])
    var all: [Entry] { entries.withLock { $0 } }
    func append(_ entry: Entry) { entries.withLock { $0.append(entry) } }
}

/// What the library itself can tell you went wrong. What the server refused is a ``ServerError``.
///
/// Match single cases and keep a `default`: cases and payloads may grow. Descriptions name what failed and the numbers
/// that are needed to find out why; they never hold a password or a bound value.
@nonexhaustive
public enum EngineError: Error, Sendable {
    /// No connection became free within the checkout timeout. Carries the engine's numbers at that moment.
    indirect case checkoutTimedOut(Engine.Statistics)
    /// More tasks were waiting for a connection than the pool's `maxWaiters` allows.
    indirect case tooManyWaiters(Engine.Statistics)
    /// A connection could not be made.
    indirect case connectFailed(ConnectFailure)
    /// The connection ended while it was needed. What had not been committed is rolled back by the server; a statement without a
    /// session may have been executed.
    case connectionLost(String)
    /// COMMIT was sent and never answered: the transaction may or may not be durable. Never retried by itself.
    indirect case commitOutcomeUnknown(CommitOutcome)
    /// An earlier statement failed: nothing but a rollback (of the savepoint, or of all) can follow.
    case transactionAborted(String)
    /// A statement or a scope with a timeout did not end in time.
    case statementTimedOut(String)
    /// The session was closed, by `close()` or by the end of its scope.
    case sessionClosed
    /// The call is not possible in this state: a session in two hands, a second `begin`. Nothing was sent.
    case invalidState(String)
    /// A URL, an option or an environment variable that cannot mean anything.
    case invalidConfiguration(String)
    /// A row does not fit the type that was asked for.
    indirect case decoding(DecodingFailure)
    /// A value could not be turned into a parameter. Nothing was sent.
    case encoding(String)
    /// `one()` or `oneOrNil()` found another number of rows.
    case unexpectedRowCount(String)
    /// The engine was shut down.
    case shutDown
}

extension EngineError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .checkoutTimedOut(let then): "no connection became free in time: \(then)"
        case .tooManyWaiters(let then): "too many tasks are waiting for a connection: \(then)"
        case .connectFailed(let cause): "cannot connect: \(cause)"
        case .connectionLost(let what): "the connection was lost: \(what)"
        case .commitOutcomeUnknown(let outcome): "the outcome of COMMIT is unknown: \(outcome)"
        case .transactionAborted(let what): "the transaction is aborted: \(what)"
        case .statementTimedOut(let what): "the statement timed out: \(what)"
        case .sessionClosed: "the session is closed"
        case .invalidState(let what): "not possible now: \(what)"
        case .invalidConfiguration(let what): "invalid configuration: \(what)"
        case .decoding(let failure): "cannot decode \(failure)"
        case .encoding(let what): "cannot encode \(what)"
        case .unexpectedRowCount(let what): "unexpected number of rows: \(what)"
        case .shutDown: "the engine is shut down"
        }
    }
}

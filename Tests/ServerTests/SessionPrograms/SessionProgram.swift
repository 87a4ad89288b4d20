import PostgresSessions
import PostgresSessionsTesting

/// One text for the server. Rows are numbers of the program's own.
enum Statement: Hashable, Sendable {
    case row(Int), duplicate, deferredDuplicate, division, syntax, nothing
    /// A serialization failure or a deadlock, in the first so many attempts of the unit of work.
    case conflict(SQLState, attempts: Int)
    case checkConstraints
    /// Also what the library has prepared.
    case deallocateAll
    case tenant(String)
    /// What outlives a transaction in the server's session: the kind, and a number of its own.
    case leave(Leftover, Int)
    case begin, commit, rollback, commitAndChain, rollbackAndChain
    case savepoint(String), release(String), rollbackTo(String)
    case endOfBackend
    /// Longer than any program waits.
    case sleep
}

enum Leftover: CaseIterable, Hashable, Sendable {
    case setting, function, listen, lock, table, prepared, cursor
}

enum Characteristics: CaseIterable, Hashable, Sendable {
    case plain, repeatableRead, readOnly
}

enum CopyFault: CaseIterable, Hashable, Sendable {
    case none, duplicate, thrown
}

enum ScopeKind: Hashable, Sendable {
    case savepoint, transaction, timeout, lock
}

struct ProgramScope: Hashable, Sendable {
    let id: Int
    let kind: ScopeKind
    /// What fails in the body ends it.
    var propagates: Bool
    var throwsAtItsEnd: Bool
}

indirect enum Step: Sendable {
    case execute(Statement)
    case batch([Statement])
    case pipeline(Statement, Statement, Statement)
    case commitWith(Statement)
    case select(rows: Int)
    case countRows, showTenant
    /// Left behind so many rows, by a break or by an error of the user's; row `fails` divides by zero.
    case stream(rows: Int, read: Int, throwing: Bool, fails: Int?)
    case copyOut(rows: Int, read: Int)
    case copyIn([Int], CopyFault)
    case begin(Characteristics), commit, rollback, close
    case prepare(Int)
    case afterCommit(Int), afterRollback(Int)
    case timeoutThatFires, timeoutThatHasPassed(Int)
    case cancel
    /// Of the program's task, or of the process that serves it, so many microseconds later.
    case cancelSoon(Int), endSoon(Int)
    /// The proxy, if one stands there, ends a connection behind so many more bytes.
    case cut(afterBytes: Int, FaultProxy.Direction)
    /// The same, and `commit` at once.
    case commitAtCut(afterBytes: Int, FaultProxy.Direction)
    /// The engine's connections are replaced when they come home.
    case invalidate
    /// Said while a stream is being read.
    case insideStream(Statement)
    case scope(ProgramScope, [Step])
}

/// One unit of work, or several, on one session.
struct SessionProgram: Sendable {
    enum Container: Hashable, Sendable {
        case session, manual
        /// A session in a sandbox of its own.
        case sandbox
        case transaction(Characteristics, attempts: Int)
        /// A session on a raw connection, on which a transaction is open, or none.
        case joined(JoinTransactionMode, isOuterOpen: Bool)
    }

    /// The row of the transaction that is open around a joined session, and the row behind the session.
    static let (rowBefore, rowBehind) = (9_000, 9_001)

    var container: Container
    var hasLocals: Bool
    var tracksOutcome: Bool
    var propagates: Bool
    var steps: [Step]
    /// Somebody may end the processes that serve it, from the beginning.
    var isArmed = false

    /// Every program that lacks one of the steps, or has a scope's steps in the scope's place.
    var smaller: [SessionProgram] {
        Self.smaller(steps).map { steps in
            var program = self
            program.steps = steps
            return program
        }
    }

    private static func smaller(_ steps: [Step]) -> [[Step]] {
        var found: [[Step]] = []
        for index in steps.indices {
            var rest = steps
            rest.remove(at: index)
            found.append(rest)
            guard case .scope(let scope, let body) = steps[index] else { continue }
            found.append(Array(steps[..<index]) + body + Array(steps[(index + 1)...]))
            for body in smaller(body) {
                var changed = steps
                changed[index] = .scope(scope, body)
                found.append(changed)
            }
        }
        return found
    }
}

extension SessionProgram: CustomStringConvertible {
    var description: String {
        let header =
            "\(container) locals: \(hasLocals) tracked: \(tracksOutcome) propagates: \(propagates) armed: \(isArmed)"
        return ([header] + Self.lines(steps, 1)).joined(separator: "\n")
    }

    private static func lines(_ steps: [Step], _ depth: Int) -> [String] {
        let indentation = String(repeating: "    ", count: depth)
        return steps.flatMap { step -> [String] in
            guard case .scope(let scope, let body) = step else { return ["\(indentation)\(step)"] }
            let ending = (scope.propagates ? ", propagates" : "") + (scope.throwsAtItsEnd ? ", throws" : "")
            return ["\(indentation)\(scope.kind) \(scope.id)\(ending)"] + lines(body, depth + 1)
        }
    }
}

/// What the program has seen of one step.
struct ProgramEvent: Sendable {
    enum What: Sendable {
        case step(Step)
        case entered(ProgramScope)
        /// What the body threw; nil twice: it did not run.
        case left(ProgramScope, body: Outcome?)
        case attempt(Int)
        case bodyEnded(Outcome)
        case finished
        /// On the raw connection, behind its session.
        case outside(Statement)
    }

    let what: What
    var outcome = Outcome.returned
    var status = TransactionStatus.closed
    /// The actions that have run so far.
    var fired: [Int] = []
    var value: String?
    var attempt = 1
    /// Whether the task was cancelled before, and after.
    var wasCancelled = false
    var isCancelled = false
}

extension ProgramEvent: CustomStringConvertible {
    var description: String {
        let value = value.map { " = \($0)" } ?? ""
        let cancelled = isCancelled ? wasCancelled ? " (cancelled before)" : " (cancelled)" : ""
        return "\(what): \(outcome)\(value), \(status), ran \(fired)\(cancelled)"
    }
}

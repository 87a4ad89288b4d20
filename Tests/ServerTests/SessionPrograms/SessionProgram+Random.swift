import PoolCore
import PostgresSessions
import PostgresSessionsTesting

/// What may occur in a program.
struct ProgramMix: Sendable {
    /// Of its own task's cancellation.
    var isCancelled = false
    /// Of the processes that serve it.
    var isEnded = false
    /// At moments that nobody knows.
    var isTimed = false
}

extension SessionProgram {
    static func random(seed: UInt64, _ mix: ProgramMix) -> SessionProgram {
        var maker = ProgramMaker(generator: SeededGenerator(seed: seed), mix: mix)
        return maker.program()
    }
}

private struct ProgramMaker {
    var generator: SeededGenerator
    let mix: ProgramMix
    private var serial = 0
    private var faults = 0

    init(generator: SeededGenerator, mix: ProgramMix) { (self.generator, self.mix) = (generator, mix) }

    mutating func program() -> SessionProgram {
        let container: SessionProgram.Container
        switch below(5) {
        case 0, 1: container = .session
        case 2: container = .manual
        case 3 where !mix.isTimed && below(4) == 0: container = .sandbox
        case 3 where !mix.isTimed && below(2) == 0:
            container = .joined(one(of: JoinTransactionMode.allCases), isOuterOpen: below(4) > 0)
        default: container = .transaction(one(of: Characteristics.allCases), attempts: one(of: [1, 1, 3]))
        }
        return SessionProgram(
            container: container, hasLocals: below(2) == 0, tracksOutcome: below(4) == 0, propagates: below(4) == 0,
            steps: steps(3 + below(10), depth: 0))
    }

    private mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &generator) }
    private mutating func one<T>(of all: [T]) -> T { all[below(all.count)] }

    private mutating func next() -> Int {
        serial += 1
        return serial
    }

    private mutating func steps(_ count: Int, depth: Int) -> [Step] { (0..<count).map { _ in step(depth) } }

    private mutating func step(_ depth: Int) -> Step {
        switch below(100) {
        case ..<22: return .execute(plain())
        case ..<28: return .execute(refused())
        case ..<39: return .execute(wordOfTransactions())
        case ..<42: return .execute(.leave(one(of: Leftover.allCases), next()))
        case ..<45: return .batch((0..<(1 + below(4))).map { _ in inFlight() })
        case ..<48: return .pipeline(inFlight(), inFlight(), inFlight())
        case ..<51: return .commitWith(inFlight())
        case ..<57: return rows()
        case ..<59: return .countRows
        case ..<61: return .showTenant
        case ..<64: return .copyIn((0..<(1 + below(4))).map { _ in next() }, one(of: CopyFault.allCases))
        case ..<66: return .begin(one(of: Characteristics.allCases))
        case ..<70: return .commit
        case ..<73: return .rollback
        case 73: return below(3) == 0 ? .close : .countRows
        case 74: return .prepare(next())
        case ..<78: return below(2) == 0 ? .afterCommit(next()) : .afterRollback(next())
        case 78: return below(3) == 0 ? .timeoutThatFires : .timeoutThatHasPassed(next())
        case ..<83: return fault()
        case 83: return below(2) == 0 ? .invalidate : .insideStream(.row(next()))
        default: return depth < 4 ? scope(depth + 1) : .execute(.row(next()))
        }
    }

    private mutating func scope(_ depth: Int) -> Step {
        let kind = one(of: [ScopeKind.savepoint, .savepoint, .savepoint, .transaction, .transaction, .timeout, .lock])
        let scope = ProgramScope(
            id: next(), kind: kind, propagates: below(2) == 0, throwsAtItsEnd: below(4) == 0)
        return .scope(scope, steps(below(5), depth: depth))
    }

    private mutating func plain() -> Statement {
        switch below(10) {
        case 0: .nothing
        case 1: .tenant(String(8 + below(3)))
        case 2: below(3) == 0 ? .deferredDuplicate : .row(next())
        case 3: below(3) == 0 ? .checkConstraints : .row(next())
        case 4: below(3) == 0 ? .deallocateAll : .row(next())
        default: .row(next())
        }
    }

    private mutating func refused() -> Statement {
        switch below(5) {
        case 0: .duplicate
        case 1: .syntax
        case 2, 3: .division
        default: .conflict(one(of: [.serializationFailure, .deadlockDetected]), attempts: one(of: [1, 2, 9]))
        }
    }

    private mutating func inFlight() -> Statement { below(6) == 0 ? refused() : plain() }

    private mutating func wordOfTransactions() -> Statement {
        let name = one(of: ["a", "b"])
        return switch below(16) {
        case ..<5: .savepoint(name)
        case ..<7: .release(name)
        case ..<10: .rollbackTo(name)
        case 10: .begin
        case 11, 12: .commit
        case 13: .rollback
        case 14: .commitAndChain
        default: .rollbackAndChain
        }
    }

    private mutating func rows() -> Step {
        let count = one(of: [0, 1, 100, 128, 129, 700, 5000])
        switch below(5) {
        case 0: return .select(rows: below(8) == 0 ? 100_000 : count)
        case 1: return .copyOut(rows: count, read: one(of: [0, 1, 50, 9999]))
        case 2: return .stream(rows: 3000, read: one(of: [1, 9999]), throwing: false, fails: 1 + below(1000))
        default:
            return .stream(rows: count, read: one(of: [1, 50, 130, 9999]), throwing: below(2) == 0, fails: nil)
        }
    }

    private mutating func fault() -> Step {
        faults += 1
        guard faults < 4, mix.isCancelled || mix.isEnded else { return .execute(.row(next())) }
        let cancels = mix.isCancelled && (!mix.isEnded || below(2) == 0)
        guard mix.isTimed, below(3) > 0 else { return cancels ? .cancel : .execute(.endOfBackend) }
        if !cancels, below(2) == 0 {
            let direction = one(of: [FaultProxy.Direction.toClient, .toServer])
            if below(2) == 0 { return .commitAtCut(afterBytes: below(30), direction) }
            return .cut(afterBytes: one(of: [0, 1, 6, 15, 30, 60, 100, 200, 1000]), direction)
        }
        let microseconds = one(of: [0, 100, 300, 1000, 3000, 8000])
        return cancels ? .cancelSoon(microseconds) : .endSoon(microseconds)
    }
}

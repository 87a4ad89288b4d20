import PoolCore
import Testing

/// A pool with a server that answers after `connectTime` and clients that work for `holdTime`, in virtual time.
struct LivelyPool {
    private enum Task {
        case connects(ConnectionID), closes(ConnectionID), resets(ConnectionID), returns(UInt64), arrives(UInt64)
    }

    private(set) var pool: ScriptedPool
    var connectTime: Int64
    var holdTime: Int64
    /// Connects that never answer, by their number from 0.
    var hanging: Set<Int> = []
    var isServerUp = true
    private(set) var grantTimes: [UInt64: PoolInstant] = [:]
    private var agenda: [(time: PoolInstant, order: Int, task: Task)] = []
    private var order = 0
    private var seen = 0
    private var dialled = 0

    init(_ configuration: PoolConfiguration, connectTime: Int64, holdTime: Int64) {
        pool = ScriptedPool(configuration)
        self.connectTime = connectTime
        self.holdTime = holdTime
    }

    mutating func request(_ waiters: ClosedRange<UInt64>, after delay: Int64 = 0) {
        for waiter in waiters { plan(.arrives(waiter), in: delay) }
    }

    private mutating func plan(_ task: Task, in delay: Int64) {
        order += 1
        agenda.append((pool.now + delay, order, task))
    }

    /// Lets everything happen for a while, in order of time.
    mutating func run(for duration: Int64) {
        let end = pool.now + duration
        while true {
            let next = agenda.indices.min { (agenda[$0].time, agenda[$0].order) < (agenda[$1].time, agenda[$1].order) }
            let happens = next.map { agenda[$0].time } ?? .distantFuture
            let wakes = pool.machine.nextDeadline ?? .distantFuture
            guard min(happens, wakes) <= end else { break }
            if wakes < happens {
                pool.advance(by: max(0, wakes - pool.now))
            } else if let next {
                let task = agenda.remove(at: next).task
                pool.advance(by: happens - pool.now)
                perform(task)
            }
            reactToEffects()
        }
        pool.advance(by: end - pool.now)
    }

    mutating func warmUp() {
        pool.send(.warmUp)
        reactToEffects()
    }

    private mutating func perform(_ task: Task) {
        switch task {
        case .arrives(let waiter): pool.request(waiter)
        case .connects(let id): pool.send(isServerUp ? .connected(id) : .connectFailed(id, .transient))
        case .closes(let id): pool.send(.gone(id))
        case .resets(let id): pool.send(.resetFinished(id, true))
        case .returns(let waiter): pool.giveBack(waiter)
        }
    }

    private mutating func reactToEffects() {
        while seen < pool.effects.count {
            let effect = pool.effects[seen]
            seen += 1
            switch effect {
            case .connect(let id):
                if !hanging.contains(dialled) { plan(.connects(id), in: connectTime) }
                dialled += 1
            case .grant(let waiter, _, _):
                grantTimes[waiter.rawValue] = pool.now
                plan(.returns(waiter.rawValue), in: holdTime)
            case .close(let id, _): plan(.closes(id), in: 0)
            case .reset(let id): plan(.resets(id), in: 0)
            case .fail, .validate, .cancelLease, .leakSuspected, .warmUpFinished, .shutdownComplete: break
            }
        }
    }
}

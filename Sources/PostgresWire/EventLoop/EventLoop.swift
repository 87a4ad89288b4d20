internal import Synchronization

#if canImport(Darwin)
    internal import Darwin
#else
    internal import Glibc
#endif

/// One thread that waits for sockets and timers and runs the tasks that prefer its group.
///
/// It never calls libpq: it says "readable" or "writable" and resumes whoever waits. Jobs enqueued from its own thread go to a
/// list without a lock; jobs from elsewhere go through an inbox and wake it only when it sleeps.
final class EventLoop: @unchecked Sendable {
    // Proof: `ready` and `running` are touched by the loop's thread alone; the rest is under the mutex.
    private struct Shared {
        var inbox: [UnownedJob] = []
        var timers = TimerHeap()
        /// Watches whose last reference the loop drops after the batch of events that may still name them.
        var retired: [Unmanaged<SocketWatch>] = []
        var isSleeping = false
    }

    private let shared = Mutex(Shared())
    private let poller = Poller()
    @exclusivity(unchecked) private var ready: [UnownedJob] = []
    @exclusivity(unchecked) private var running: [UnownedJob] = []

    /// Starts the thread, which runs its jobs as the group's, so that a task keeps its executor on every loop.
    func start(name: String, in group: EventLoops) {
        DetachedThread.start(name: name) { [self] in
            EventLoop.current.set(self)
            run(as: group.asUnownedTaskExecutor())
        }
    }

    // MARK: Jobs

    /// The loop whose thread this is, if any.
    static let current = ThreadLocalLoop()

    func enqueue(_ job: UnownedJob) {
        if EventLoop.current.get() === self {
            ready.append(job)
        } else {
            post { $0.inbox.append(job) }
        }
    }

    private func post(_ change: (inout Shared) -> Void) {
        let mustWake = shared.withLock { shared in
            change(&shared)
            defer { shared.isSleeping = false }
            return shared.isSleeping
        }
        if mustWake { poller.wake() }
    }

    // MARK: Timers

    func schedule(at deadline: Monotonic, _ action: @escaping @Sendable () -> Void) -> LoopTimer {
        let timer = LoopTimer(deadline: deadline, action: action)
        let mustWake = shared.withLock { shared in
            let wasEarliest = shared.timers.earliest
            shared.timers.insert(timer)
            guard shared.isSleeping, wasEarliest.map({ deadline < $0 }) ?? true else { return false }
            shared.isSleeping = false
            return true
        }
        if mustWake { poller.wake() }
        return timer
    }

    func cancel(_ timer: LoopTimer) {
        if timer.end() { shared.withLock { $0.timers.noteCancelled() } }
    }

    // MARK: Sockets

    /// Returns an errno, or 0. The loop keeps the watch alive until it is removed.
    func add(_ watch: SocketWatch, fd: Int32) -> Int32 {
        let token = Unmanaged.passRetained(watch)
        let error = poller.add(fd, token: token.toOpaque())
        if error != 0 { token.release() }
        return error
    }

    /// Must come before the descriptor is closed, and exactly once per `add`.
    func remove(_ watch: SocketWatch, fd: Int32) {
        poller.remove(fd)
        post { $0.retired.append(Unmanaged.passUnretained(watch)) }
    }

    // MARK: The thread

    private func run(as executor: UnownedTaskExecutor) {
        while true {
            swap(&ready, &running)
            for job in running { job.runSynchronously(on: executor) }
            running.removeAll(keepingCapacity: true)

            let timeout = prepareToWait()
            poller.wait(milliseconds: timeout) { token, news in
                Unmanaged<SocketWatch>.fromOpaque(token).takeUnretainedValue().signal(news)
            }
            finishWait()
        }
    }

    /// Takes the inbox; answers how long the poller may sleep.
    private func prepareToWait() -> Int32 {
        shared.withLock { shared in
            if !shared.inbox.isEmpty {
                ready.append(contentsOf: shared.inbox)
                shared.inbox.removeAll(keepingCapacity: true)
            }
            guard ready.isEmpty, shared.retired.isEmpty else { return 0 }
            shared.isSleeping = true
            guard let earliest = shared.timers.earliest else { return -1 }
            let left = earliest.nanoseconds - Monotonic.now.nanoseconds
            return left <= 0 ? 0 : Int32(clamping: (left + 999_999) / 1_000_000)
        }
    }

    /// Fires due timers and lets go of retired watches, both outside the lock.
    private func finishWait() {
        var due: [LoopTimer] = []
        let retired = shared.withLock { shared in
            shared.isSleeping = false
            if shared.timers.earliest != nil {
                let now = Monotonic.now
                while let timer = shared.timers.popDue(at: now) { due.append(timer) }
            }
            let retired = shared.retired
            if !retired.isEmpty { shared.retired = [] }
            return retired
        }
        for timer in due { timer.action() }
        for watch in retired { watch.release() }
    }
}

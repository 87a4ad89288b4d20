internal import Synchronization

#if canImport(Darwin)
    internal import Darwin
#else
    internal import Glibc
#endif

/// A flight that is queued, and the task that waits for its answers: it keeps the connection alive.
private struct Departure {
    let connection: Unmanaged<WireConnection>
    let waiter: SocketWaiter
}

/// A wait for the answer to a flight; it may be over.
private struct Unanswered {
    let watch: Unmanaged<SocketWatch>
    let wait: UInt64
}

/// One thread that waits for sockets and timers and runs the tasks that prefer its group.
///
/// It says "readable" or "writable" and resumes whoever waits; of libpq it calls only what sends a flight. Jobs enqueued from its own thread go to a
/// list without a lock; jobs from elsewhere go through an inbox and wake it only when it sleeps.
final class EventLoop: @unchecked Sendable {
    // Proof: what is not checked for exclusive access is touched by the loop's thread alone; the rest is under the mutex.
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
    @exclusivity(unchecked) private var departures: [Departure] = []
    @exclusivity(unchecked) private var gathers = true
    /// Sent since the last time somebody was told to be late, and before; most have been answered.
    @exclusivity(unchecked) private var unanswered: [Unanswered] = []
    @exclusivity(unchecked) private var unansweredLonger: [Unanswered] = []
    @exclusivity(unchecked) private var nextLateness = Monotonic.now
    /// When the poller wakes up by itself.
    @exclusivity(unchecked) private var alarm: Monotonic?

    /// Starts the thread, which runs its jobs as the group's, so that a task keeps its executor on every loop.
    func start(name: String, in group: EventLoops) {
        let error = DetachedThread.start(name: name) { [self] in
            EventLoop.current.set(self)
            run(as: group.asUnownedTaskExecutor())
        }
        precondition(error == 0, "cannot start a thread: errno \(error)")
    }

    // MARK: Jobs

    /// The loop whose thread this is, if any.
    static let current = ThreadLocalLoop()

    /// From this loop's thread.
    func enqueueHere(_ job: UnownedJob) { ready.append(job) }

    /// From elsewhere.
    func enqueue(_ job: UnownedJob) { post { $0.inbox.append(job) } }

    /// Sends a connection's flight, soon: after the jobs that are ready to run, so that they run in one go, instead of each
    /// being interrupted by the server that its flight wakes. Where jobs have lately taken long, at once. Only from this
    /// loop's thread.
    func send(_ connection: WireConnection, then waiter: SocketWaiter) {
        let departure = Departure(connection: .passUnretained(connection), waiter: waiter)
        if gathers { departures.append(departure) } else { send(departure) }
    }

    private func send(_ departure: Departure) {
        let connection = departure.connection.takeUnretainedValue()
        let watch = connection.watch
        // After this the connection is its borrower's again.
        guard let wait = connection.sendNow(then: departure.waiter) else { return }
        unanswered.append(Unanswered(watch: .passRetained(watch), wait: wait))
    }

    private func sendDepartures() {
        // None is added meanwhile: whoever is resumed here runs later.
        for departure in departures { send(departure) }
        departures.removeAll(keepingCapacity: true)
    }

    /// Tells those who have waited for one to two `lateness` that they have.
    private func noteLate(_ now: Monotonic) {
        guard now >= nextLateness, hasUnanswered else { return }
        for waiter in unansweredLonger { waiter.watch.takeRetainedValue().endIfLate(waiter.wait) }
        unansweredLonger.removeAll(keepingCapacity: true)
        swap(&unanswered, &unansweredLonger)
        nextLateness = now.advanced(by: Self.lateness)
    }

    private var hasUnanswered: Bool { !unanswered.isEmpty || !unansweredLonger.isEmpty }

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
        var now = Monotonic.now
        while true {
            runJobs(on: executor, since: now)
            let maySleep = prepareToWait()
            let hasRung = poller.wait(sleeping: maySleep) { token, news in
                Unmanaged<SocketWatch>.fromOpaque(token).takeUnretainedValue().signal(news)
            }
            if hasRung { alarm = nil }
            now = .now
            finishWait(now)
            noteLate(now)
        }
    }

    /// Until none is ready: what one job readies, a connection handed to whoever waited for it, need not wait for the poller.
    /// But sockets and timers wait no longer for that than a turn.
    private func runJobs(on executor: UnownedTaskExecutor, since start: Monotonic) {
        var begin = start
        while !ready.isEmpty, begin.nanoseconds - start.nanoseconds < Self.turn {
            swap(&ready, &running)
            for job in running {
                job.runSynchronously(on: executor)
                if departures.count >= Self.departuresTogether { sendDepartures() }
            }
            let end = Monotonic.now
            gathers = end.nanoseconds - begin.nanoseconds < running.count * Self.longJob
            begin = end
            running.removeAll(keepingCapacity: true)
            if !departures.isEmpty { sendDepartures() }
        }
    }

    /// Nanoseconds.
    private static let turn = 20_000
    /// So many at most, so that the first does not wait for long.
    private static let departuresTogether = 16
    /// Nanoseconds. A job that ends with a flight takes a few thousand.
    private static let longJob = 50_000
    /// Longer than most statements take, and short for whoever has cancelled one.
    private static let lateness = Duration.milliseconds(2)

    /// Takes the inbox; answers whether the poller may sleep.
    private func prepareToWait() -> Bool {
        var next: Monotonic?
        let maySleep = shared.withLock { shared in
            if !shared.inbox.isEmpty {
                ready.append(contentsOf: shared.inbox)
                shared.inbox.removeAll(keepingCapacity: true)
            }
            guard ready.isEmpty, shared.retired.isEmpty else { return false }
            shared.isSleeping = true
            next = shared.timers.earliest
            return true
        }
        if maySleep {
            if hasUnanswered { next = min(next ?? nextLateness, nextLateness) }
            if let next { wake(at: next) }
        }
        return maySleep
    }

    /// The alarm is not set back when what it was for is over: most deadlines are never reached, and later than the last.
    private func wake(at moment: Monotonic) {
        if let alarm, alarm <= moment { return }
        alarm = moment
        poller.setAlarm(at: moment)
    }

    /// Fires due timers and lets go of retired watches, both outside the lock.
    private func finishWait(_ now: Monotonic) {
        var due: [LoopTimer] = []
        let retired = shared.withLock { shared in
            shared.isSleeping = false
            while let timer = shared.timers.popDue(at: now) { due.append(timer) }
            let retired = shared.retired
            if !retired.isEmpty { shared.retired = [] }
            return retired
        }
        for timer in due { timer.action() }
        for watch in retired { watch.release() }
    }
}

internal import CLibPQ
internal import Synchronization

#if canImport(Darwin)
    internal import Darwin
#else
    internal import Glibc
#endif

/// The process's event loops, and the executor that runs tasks on them.
///
/// A job enqueued from a loop's thread stays on that loop, so a task follows the connection that woke it without a
/// thread hop; other jobs are dealt round-robin. The loops live as long as the process and cost nothing while idle.
package final class EventLoops: TaskExecutor {
    package static let shared = EventLoops(count: max(1, min(8, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))))

    private let loops: [EventLoop]
    private let nextForConnection = Atomic<Int>(0)
    private let nextForJob = Atomic<Int>(0)

    private init(count: Int) {
        loops = (0..<count).map { _ in EventLoop() }
        for (i, loop) in loops.enumerated() { loop.start(name: "pg-loop-\(i)", in: self) }
    }

    /// The loop for a connection: dealt round-robin.
    func pick() -> EventLoop { deal(nextForConnection) }

    private func deal(_ next: borrowing Atomic<Int>) -> EventLoop {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        return loops[Int(UInt(bitPattern: index) % UInt(loops.count))]
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if let here = EventLoop.current.get() { here.enqueueHere(job) } else { deal(nextForJob).enqueue(job) }
    }

    /// Runs `action` on a loop's thread at `deadline`; it must not block.
    package func schedule(at deadline: Monotonic, _ action: @escaping @Sendable () -> Void) -> LoopTimer {
        loops[0].schedule(at: deadline, action)
    }

    /// Stops a timer that `schedule` returned. Too late is harmless.
    package func cancel(_ timer: LoopTimer) { loops[0].cancel(timer) }
}

/// A pthread key: which event loop this thread is.
struct ThreadLocalLoop: Sendable {
    private let key: pthread_key_t

    init() {
        var key = pthread_key_t()
        precondition(pthread_key_create(&key, nil) == 0, "no thread-local storage")
        self.key = key
    }

    func set(_ loop: EventLoop) { pthread_setspecific(key, Unmanaged.passUnretained(loop).toOpaque()) }

    func get() -> EventLoop? {
        pthread_getspecific(key).map { Unmanaged<EventLoop>.fromOpaque($0).takeUnretainedValue() }
    }
}

internal import CLibPQ
internal import Synchronization

#if canImport(Darwin)
    internal import Darwin
#else
    internal import Glibc
#endif

/// A pthread that nobody joins.
enum DetachedThread {
    private final class Body {
        let name: String
        let run: @Sendable () -> Void
        init(_ name: String, _ run: @escaping @Sendable () -> Void) { (self.name, self.run) = (name, run) }
    }

    /// Returns an errno, or 0. Where the system has no thread left, `run` is not called.
    static func start(name: String, _ run: @escaping @Sendable () -> Void) -> Int32 {
        let context = Unmanaged.passRetained(Body(name, run)).toOpaque()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        defer { pthread_attr_destroy(&attributes) }
        #if canImport(Darwin)
            var thread: pthread_t?
            let error = pthread_create(&thread, &attributes, { DetachedThread.main($0) }, context)
        #else
            var thread = pthread_t()
            let error = pthread_create(&thread, &attributes, { DetachedThread.main($0!) }, context)
        #endif
        if error != 0 { Unmanaged<Body>.fromOpaque(context).release() }
        return error
    }

    private static func main(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        let body = Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
        cpq_set_thread_name(body.name)
        body.run()
        return nil
    }
}

/// Threads for calls that block: name resolution, connecting, libpq's blocking cancel.
///
/// Threads start on demand, at most `limit`, and end when there is nothing to do. Work beyond the limit queues in order, and
/// so does work for which the system has no thread, as long as there is one to do it.
final class HelperThreads: Sendable {
    static let connecting = HelperThreads(name: "pg-connect", limit: 32)
    /// A server that never ends its side keeps a cancel's thread for ever (libpq 14 to 16 cannot give it up), hence many.
    static let cancelling = HelperThreads(name: "pg-cancel", limit: 512)

    private struct Work {
        let run: @Sendable () -> Void
        let refuse: @Sendable (_ errno: Int32) -> Void
    }

    private struct State {
        var running = 0
        var queue: [Work] = []
    }

    private let state = Mutex(State())
    private let limit: Int
    private let startThread: @Sendable (_ body: @escaping @Sendable () -> Void) -> Int32

    init(limit: Int, startThread: @escaping @Sendable (_ body: @escaping @Sendable () -> Void) -> Int32) {
        self.limit = limit
        self.startThread = startThread
    }

    convenience init(name: String, limit: Int) {
        self.init(limit: limit) { body in
            DetachedThread.start(name: name) {
                cpq_use_plain_locale()  // why a connect failed is read from libpq's words
                body()
            }
        }
    }

    /// Runs `work` soon, on a thread where it may block; or says why that cannot be.
    func run(
        _ work: @escaping @Sendable () -> Void, orRefuse refuse: @escaping @Sendable (_ errno: Int32) -> Void
    ) {
        let mustStart = state.withLock { state in
            state.queue.append(Work(run: work, refuse: refuse))
            guard state.running < limit else { return false }
            state.running += 1
            return true
        }
        guard mustStart else { return }
        let error = startThread { [self] in workUntilEmpty() }
        if error != 0 { noteMissing(error) }
    }

    /// The threads that there are do the work of the one that could not start. Where there is none, nobody does.
    private func noteMissing(_ error: Int32) {
        let stranded = state.withLock { state in
            state.running -= 1
            guard state.running == 0 else { return [Work]() }
            defer { state.queue = [] }
            return state.queue
        }
        for work in stranded { work.refuse(error) }
    }

    private func workUntilEmpty() {
        while true {
            let work = state.withLock { state -> Work? in
                guard !state.queue.isEmpty else {
                    state.running -= 1
                    return nil
                }
                return state.queue.removeFirst()
            }
            guard let work else { return }
            work.run()
        }
    }
}

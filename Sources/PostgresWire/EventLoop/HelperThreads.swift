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

    static func start(name: String, _ run: @escaping @Sendable () -> Void) {
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
        precondition(error == 0, "cannot start a thread: errno \(error)")
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
/// Threads start on demand, at most `limit`, and end when there is nothing to do. Work beyond the limit queues in order.
final class HelperThreads: Sendable {
    static let connecting = HelperThreads(name: "pg-connect", limit: 32)
    /// A server that never ends its side keeps a cancel's thread for ever (libpq 14 to 16 cannot give it up), hence many.
    static let cancelling = HelperThreads(name: "pg-cancel", limit: 512)

    private struct State {
        var running = 0
        var queue: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())
    private let name: String
    private let limit: Int

    init(name: String, limit: Int) {
        self.name = name
        self.limit = limit
    }

    /// Runs `work` soon, on a thread where it may block.
    func run(_ work: @escaping @Sendable () -> Void) {
        let mustStart = state.withLock { state in
            state.queue.append(work)
            guard state.running < limit else { return false }
            state.running += 1
            return true
        }
        if mustStart { DetachedThread.start(name: name) { [self] in workUntilEmpty() } }
    }

    private func workUntilEmpty() {
        while true {
            let work = state.withLock { state -> (@Sendable () -> Void)? in
                guard !state.queue.isEmpty else {
                    state.running -= 1
                    return nil
                }
                return state.queue.removeFirst()
            }
            guard let work else { return }
            work()
        }
    }
}

internal import CLibPQ
internal import Synchronization

/// One request to cancel what a connection runs, and the fence behind it.
///
/// The server has delivered the signal when the request's own connection has ended; only then may the connection be
/// anybody else's. libpq's call blocks, so it has a helper thread, and keeps this object alive until it returns.
final class CancelRequest: @unchecked Sendable {  // `request` is used by the helper thread alone once started
    private struct State {
        var isDone = false
        var waiter: CheckedContinuation<Bool, Never>?
    }

    private let request: UnsafeMutableRawPointer?
    private let state = Mutex(State())

    init(_ conn: OpaquePointer) { request = cpq_cancel_create(conn) }

    deinit { if let request { cpq_cancel_free(request) } }

    func start() {
        // One that was never sent is over too, and another one follows.
        HelperThreads.cancelling.run(
            { [self] in
                if let request { _ = cpq_cancel_run(request) }
                finish()
            }, orRefuse: { [self] _ in finish() })
    }

    private func finish() {
        let waiter = state.withLock { state in
            state.isDone = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: true)
    }

    var isDone: Bool { state.withLock { $0.isDone } }

    /// True once the request's connection has ended; false if that does not happen by `deadline`.
    func wait(until deadline: Monotonic) async -> Bool {
        let timer = EventLoops.shared.schedule(at: deadline) { [self] in giveUp() }
        let isDone = await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if !state.isDone { state.waiter = continuation }
                return state.isDone
            }
            if isDone { continuation.resume(returning: true) }
        }
        EventLoops.shared.cancel(timer)
        return isDone
    }

    private func giveUp() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: false)
    }
}

/// The cancelling of a flight: the server is asked until the flight ends, or its time is up.
struct Cancelling {
    /// When the connection is given up.
    let deadline: Monotonic
    private(set) var request: CancelRequest
    private(set) var nextRequest: Monotonic
    private var pause = Duration.milliseconds(100)

    init(_ conn: OpaquePointer, deadline: Monotonic) {
        self.deadline = deadline
        request = CancelRequest(conn)
        nextRequest = .now.advanced(by: pause)
        request.start()
    }

    /// One request after the other, so that the last one's end is the end of all.
    mutating func askAgain(_ conn: OpaquePointer) {
        pause *= 2
        nextRequest = .now.advanced(by: pause)
        guard request.isDone else { return }
        request = CancelRequest(conn)
        request.start()
    }
}

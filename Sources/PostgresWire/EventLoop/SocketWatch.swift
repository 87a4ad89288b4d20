internal import Synchronization

/// Why a wait for a socket ended.
package enum Wake: Sendable {
    case ready
    case deadline
    /// `interrupt` was called; sticky until `clearInterrupt`.
    case interrupted
    /// A moment has passed since the flight was sent.
    case late
}

/// What the kernel has to say of a socket.
struct SocketNews: OptionSet {
    let rawValue: UInt8
    static let read = SocketNews(rawValue: 1)
    static let write = SocketNews(rawValue: 2)
    /// The peer has closed, or the socket has failed; bytes may still be unread.
    static let ended = SocketNews(rawValue: 4)
}

/// A task that is about to wait for a socket.
struct SocketWaiter {
    let continuation: UnsafeContinuation<Wake, Never>
    let wanted: SocketNews
    /// Which of the watch's waits this is, where a timer may end it.
    let number: UInt64?
}

/// What one socket has announced, and the one task that may wait for it.
///
/// Readiness is remembered between waits (the kernel reports each change once), so a wait may end for news that was
/// already consumed; callers try, and wait again. At most one waiter at a time: the connection's borrower.
final class SocketWatch: Sendable {
    fileprivate struct State {
        var ready: SocketNews = []
        var wanted: SocketNews = []
        var waiter: UnsafeContinuation<Wake, Never>?
        /// Tells a late timer that the wait it was for is over. A number belongs to one wait.
        var waitNumber: UInt64 = 0
        var isInterrupted = false
        var isParked = false
    }

    private let state = Mutex(State())
    private let loop: EventLoop
    private let onEndWhileParked: @Sendable () -> Void

    init(loop: EventLoop, onEndWhileParked: @escaping @Sendable () -> Void) {
        self.loop = loop
        self.onEndWhileParked = onEndWhileParked
    }

    /// Called on the loop's thread when the kernel reports a change.
    func signal(_ news: SocketNews) {
        var tellOwner = false
        let waiter = state.withLock { state -> UnsafeContinuation<Wake, Never>? in
            guard state.waiter == nil || state.wanted.isDisjoint(with: news) else {
                state.ready.formUnion(news.subtracting(state.wanted))
                return state.takeWaiter()
            }
            state.ready.formUnion(news)
            tellOwner = state.isParked && news.contains(.ended)
            return nil
        }
        waiter?.resume(returning: .ready)
        if tellOwner { onEndWhileParked() }
    }

    /// Suspends until the socket has news of the wanted kind, the deadline, or an interrupt.
    @inline(__always)
    func wait(for wanted: SocketNews, until deadline: Monotonic?) async -> Wake {
        if let deadline { return await waitBriefly(for: wanted, until: deadline) }
        return await suspend(for: wanted, number: nil)
    }

    /// Has a connection's flight sent, and suspends until the socket can be read, the deadline, an interrupt, or, where a
    /// loop has sent it, until it is late.
    @inline(__always)
    func wait(until deadline: Monotonic?, sending connection: WireConnection) async -> Wake {
        if let deadline { return await waitBriefly(for: .read, until: deadline, sending: connection) }
        return await suspend(for: .read, number: nil, sending: connection)
    }

    private func waitBriefly(
        for wanted: SocketNews, until deadline: Monotonic, sending connection: WireConnection? = nil
    ) async -> Wake {
        let number = state.withLock { state in
            state.waitNumber += 1
            return state.waitNumber
        }
        let timer = loop.schedule(at: deadline) { [self] in timeOut(number) }
        let wake = await suspend(for: wanted, number: number, sending: connection)
        loop.cancel(timer)
        // A timer that fires just now is too late, also for the next wait.
        state.withLock { $0.waitNumber += 1 }
        return wake
    }

    @inline(__always)
    private func suspend(for wanted: SocketNews, number: UInt64?, sending connection: WireConnection? = nil) async
        -> Wake
    {
        await withUnsafeContinuation { continuation in
            let waiter = SocketWaiter(continuation: continuation, wanted: wanted, number: number)
            if let connection { connection.send(then: waiter) } else { _ = admit(waiter) }
        }
    }

    /// From here on the waiter is resumed by what happens to the socket, or at once by what has happened already. Returns
    /// the wait's number if it has to wait.
    func admit(_ waiter: SocketWaiter) -> UInt64? {
        var number: UInt64?
        let now = state.withLock { state -> Wake? in
            if state.isInterrupted { return .interrupted }
            // The end is for good, and announced once.
            if waiter.wanted.contains(.read) && state.ready.contains(.ended) { return .ready }
            guard state.ready.isDisjoint(with: waiter.wanted) else {
                state.ready.subtract(waiter.wanted)
                return .ready
            }
            if let number = waiter.number {
                if state.waitNumber != number { return .deadline }
            } else {
                state.waitNumber += 1
            }
            number = state.waitNumber
            state.wanted = waiter.wanted
            state.waiter = waiter.continuation
            return nil
        }
        if let now { waiter.continuation.resume(returning: now) }
        return number
    }

    /// The loop's word to the wait of this number, if it still lasts.
    func endIfLate(_ number: UInt64) {
        let waiter = state.withLock { $0.waitNumber == number ? $0.takeWaiter() : nil }
        waiter?.resume(returning: .late)
    }

    private func timeOut(_ number: UInt64) {
        let waiter = state.withLock { state -> UnsafeContinuation<Wake, Never>? in
            guard state.waitNumber == number else { return nil }
            state.waitNumber += 1
            return state.takeWaiter()
        }
        waiter?.resume(returning: .deadline)
    }

    /// Ends the current wait, or the next one, with `.interrupted`. Any thread.
    func interrupt() {
        let waiter = state.withLock { state in
            state.isInterrupted = true
            return state.takeWaiter()
        }
        waiter?.resume(returning: .interrupted)
    }

    /// What would end a wait that begins now, whatever the socket has; `.ready` for nothing.
    func pendingEnd(_ deadline: Monotonic?) -> Wake {
        if state.withLock({ $0.isInterrupted }) { return .interrupted }
        return deadline.map { $0 <= .now } == true ? .deadline : .ready
    }

    /// Whether the socket's end has been announced. It stays so.
    var hasEnded: Bool { state.withLock { $0.ready.contains(.ended) } }

    func clearInterrupt() { state.withLock { $0.isInterrupted = false } }

    /// From now on the owner is told when the socket ends. True if there may be something to read already.
    func park() -> Bool { setParked(true) }

    /// Ends parking. True if the socket has had news since it was last looked at: look before using it.
    func unpark() -> Bool { setParked(false) }

    /// Takes the news: what comes after this call is news again, so that whoever looks after it misses nothing.
    private func setParked(_ isParked: Bool) -> Bool {
        state.withLock { state in
            state.isParked = isParked
            state.isInterrupted = false
            return state.ready.remove(.read) != nil
        }
    }
}

extension SocketWatch.State {
    fileprivate mutating func takeWaiter() -> UnsafeContinuation<Wake, Never>? {
        defer { waiter = nil }
        return waiter
    }
}

#if os(Linux) || os(Android)
    internal import CLibPQ
    internal import Glibc

    /// The kernel's readiness calls on Linux: one epoll instance, sockets edge-triggered, an eventfd to wake it, a
    /// timerfd as its alarm.
    struct Poller: @unchecked Sendable {
        // Proof: file descriptors are values; the event buffer is touched by the loop's thread alone.
        private let epoll: Int32
        private let wakeup: Int32
        private let timer: Int32
        private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 256)

        init() {
            epoll = cpq_epoll_create()
            wakeup = cpq_eventfd()
            timer = cpq_timerfd()
            precondition(epoll >= 0 && wakeup >= 0 && timer >= 0, "epoll is not available: errno \(errno)")
            precondition(cpq_epoll_add(epoll, wakeup, CPQ_EPOLL_LEVEL_IN, nil) == 0, "epoll_ctl: errno \(errno)")
            precondition(
                cpq_epoll_add(epoll, timer, CPQ_EPOLL_EDGE_IN, Self.alarm) == 0, "epoll_ctl: errno \(errno)")
        }

        /// The alarm's token; no object has this address.
        private static var alarm: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: 1) }

        /// Watches `fd` until it is removed. `token` comes back with each of its events. Returns an errno, or 0.
        func add(_ fd: Int32, token: UnsafeMutableRawPointer) -> Int32 {
            cpq_epoll_add(epoll, fd, CPQ_EPOLL_EDGE_ALL, token) == 0 ? 0 : cpq_errno()
        }

        func remove(_ fd: Int32) { _ = cpq_epoll_remove(epoll, fd) }

        func wake() {
            var one: UInt64 = 1
            _ = write(wakeup, &one, 8)
        }

        /// Ends the wait at this moment, or the next one. It replaces what was set before.
        func setAlarm(at moment: Monotonic) { _ = cpq_timerfd_set(timer, max(1, moment.nanoseconds)) }

        /// Waits, unless it must not sleep, and hands over what became ready. True: the alarm has rung.
        func wait(sleeping: Bool, _ ready: (UnsafeMutableRawPointer, SocketNews) -> Void) -> Bool {
            let count = cpq_epoll_wait(epoll, events, 256, sleeping ? -1 : 0)
            var hasRung = false
            guard count > 0 else { return false }
            for i in 0..<Int(count) {
                let event = events[i]
                guard let token = cpq_epoll_token(events + i) else {
                    var drained: UInt64 = 0
                    _ = read(wakeup, &drained, 8)
                    continue
                }
                guard token != Self.alarm else {
                    hasRung = true
                    continue
                }
                var news: SocketNews = []
                if event.events & CPQ_EPOLL_ANY_READ != 0 { news.insert(.read) }
                if event.events & CPQ_EPOLL_ANY_WRITE != 0 { news.insert(.write) }
                if event.events & CPQ_EPOLL_ENDED != 0 { news.insert(.ended) }
                ready(token, news)
            }
            return hasRung
        }
    }
#endif

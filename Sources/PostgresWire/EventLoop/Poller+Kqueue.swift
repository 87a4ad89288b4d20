#if canImport(Darwin)
    internal import CLibPQ
    internal import Darwin

    /// The kernel's readiness calls on Darwin: one kqueue, sockets with EV_CLEAR, an EVFILT_USER event to wake it, an
    /// EVFILT_TIMER as its alarm.
    struct Poller: @unchecked Sendable {
        // Proof: a file descriptor is a value; the event buffer is touched by the loop's thread alone.
        private let queue: Int32
        private let events = UnsafeMutablePointer<kevent>.allocate(capacity: 256)

        init() {
            queue = kqueue()
            precondition(queue >= 0, "kqueue is not available: errno \(errno)")
            var user = kevent(
                ident: 0, filter: Int16(EVFILT_USER), flags: UInt16(EV_ADD | EV_CLEAR), fflags: 0, data: 0, udata: nil)
            precondition(kevent(queue, &user, 1, nil, 0, nil) == 0, "kevent: errno \(errno)")
        }

        /// Watches `fd` until it is removed. `token` comes back with each of its events. Returns an errno, or 0.
        func add(_ fd: Int32, token: UnsafeMutableRawPointer) -> Int32 {
            var changes = [EVFILT_READ, EVFILT_WRITE].map {
                kevent(
                    ident: UInt(fd), filter: Int16($0), flags: UInt16(EV_ADD | EV_CLEAR), fflags: 0, data: 0,
                    udata: token)
            }
            return kevent(queue, &changes, 2, nil, 0, nil) == 0 ? 0 : cpq_errno()
        }

        func remove(_ fd: Int32) {
            var changes = [EVFILT_READ, EVFILT_WRITE].map {
                kevent(
                    ident: UInt(fd), filter: Int16($0), flags: UInt16(EV_DELETE), fflags: 0, data: 0, udata: nil)
            }
            _ = kevent(queue, &changes, 2, nil, 0, nil)
        }

        func wake() {
            var user = kevent(
                ident: 0, filter: Int16(EVFILT_USER), flags: 0, fflags: UInt32(NOTE_TRIGGER), data: 0, udata: nil)
            _ = kevent(queue, &user, 1, nil, 0, nil)
        }

        /// Ends the wait at this moment, or the next one. It replaces what was set before.
        func setAlarm(at moment: Monotonic) {
            let left = max(1, moment.nanoseconds - Monotonic.now.nanoseconds)
            var timer = kevent(
                ident: 0, filter: Int16(EVFILT_TIMER), flags: UInt16(EV_ADD | EV_ONESHOT),
                fflags: UInt32(NOTE_NSECONDS), data: Int(left), udata: nil)
            _ = kevent(queue, &timer, 1, nil, 0, nil)
        }

        /// Waits, unless it must not sleep, and hands over what became ready. True: the alarm has rung.
        func wait(sleeping: Bool, _ ready: (UnsafeMutableRawPointer, SocketNews) -> Void) -> Bool {
            var limit = timespec(tv_sec: 0, tv_nsec: 0)
            let count =
                sleeping ? kevent(queue, nil, 0, events, 256, nil) : kevent(queue, nil, 0, events, 256, &limit)
            var hasRung = false
            guard count > 0 else { return false }
            for i in 0..<Int(count) {
                if Int32(events[i].filter) == EVFILT_TIMER { hasRung = true }
                guard let token = events[i].udata else { continue }
                let ended = events[i].flags & UInt16(EV_EOF | EV_ERROR) != 0
                let news: SocketNews = Int32(events[i].filter) == EVFILT_READ ? .read : .write
                ready(token, ended ? [.read, .write, .ended] : news)
            }
            return hasRung
        }
    }
#endif

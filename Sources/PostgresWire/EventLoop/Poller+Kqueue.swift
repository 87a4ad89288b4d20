#if canImport(Darwin)
    internal import CLibPQ
    internal import Darwin

    /// The kernel's readiness calls on Darwin: one kqueue, sockets with EV_CLEAR, an EVFILT_USER event to wake it.
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

        /// Waits at most `timeout` milliseconds (-1: for ever) and hands over what became ready.
        func wait(milliseconds timeout: Int32, _ ready: (UnsafeMutableRawPointer, SocketNews) -> Void) {
            var limit = timespec(tv_sec: Int(timeout) / 1000, tv_nsec: Int(timeout) % 1000 * 1_000_000)
            let count =
                timeout < 0
                ? kevent(queue, nil, 0, events, 256, nil) : kevent(queue, nil, 0, events, 256, &limit)
            guard count > 0 else { return }
            for i in 0..<Int(count) {
                guard let token = events[i].udata else { continue }
                let ended = events[i].flags & UInt16(EV_EOF | EV_ERROR) != 0
                let news: SocketNews = Int32(events[i].filter) == EVFILT_READ ? .read : .write
                ready(token, ended ? [.read, .write, .ended] : news)
            }
        }
    }
#endif

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Waits until a descriptor stirs or the time has come, to within some ten microseconds: the kernel's wait ends a
/// little early, since its timers may be late by their slack, and the rest is spent looking again and again.
func pollPrecisely(_ watched: inout [pollfd], until due: Int64?) {
    let slack: Int64 = 70_000
    while true {
        let left = due.map { $0 - monotonicNanoseconds() }
        let ready = poll(&watched, nanoseconds: left.map { max(0, $0 - slack) })
        if ready > 0 || (ready < 0 && errno != EINTR) { return }
        if let due, monotonicNanoseconds() >= due { return }
    }
}

private func poll(_ watched: inout [pollfd], nanoseconds: Int64?) -> Int32 {
    let count = nfds_t(watched.count)
    guard let nanoseconds else { return poll(&watched, count, -1) }
    #if !canImport(Darwin)
        if let precise = preciseSystemPoll {
            var time = timespec()
            time.tv_sec = .init(nanoseconds / 1_000_000_000)
            time.tv_nsec = .init(nanoseconds % 1_000_000_000)
            return precise(&watched, count, &time, nil)
        }
    #endif
    // Whole milliseconds only: the caller looks again and again for what is left.
    return poll(&watched, count, Int32(clamping: nanoseconds / 1_000_000))
}

#if !canImport(Darwin)
    private typealias SystemPoll =
        @convention(c) (
            UnsafeMutablePointer<pollfd>?, nfds_t, UnsafePointer<timespec>?, UnsafeRawPointer?
        ) -> Int32

    /// `ppoll`, which Swift's module of the C library does not show.
    private let preciseSystemPoll: SystemPoll? = dlsym(nil, "ppoll").map { unsafeBitCast($0, to: SystemPoll.self) }
#endif

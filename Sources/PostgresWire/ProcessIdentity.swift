internal import CLibPQ

/// Whether this process was forked from the one that started the event loops: neither threads nor connections survive that.
///
/// A counter that `pthread_atfork` raises in the child costs a load where `getpid` costs a system call.
package enum ProcessIdentity {
    private static let isWatching: Void = cpq_watch_forks()

    package static var isForked: Bool {
        _ = isWatching
        return cpq_is_forked()
    }
}

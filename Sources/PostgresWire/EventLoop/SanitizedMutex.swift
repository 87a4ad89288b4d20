#if THREAD_SANITIZER
    #if canImport(Darwin)
        internal import Darwin
    #else
        internal import Glibc
    #endif

    /// `Synchronization.Mutex` for builds with ThreadSanitizer, on a pthread mutex.
    ///
    /// The standard library's mutex synchronises inside a library that the sanitizer does not see into, so that every state it
    /// guards looks raced for as soon as two threads contend. The sanitizer knows pthread's.
    package struct SanitizedMutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
        // Proof: `value` is read and written under the pthread mutex alone.
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let value = UnsafeMutablePointer<Value>.allocate(capacity: 1)

        package init(_ initial: consuming sending Value) {
            pthread_mutex_init(mutex, nil)
            value.initialize(to: initial)
        }

        deinit {
            value.deinitialize(count: 1)
            value.deallocate()
            pthread_mutex_destroy(mutex)
            mutex.deallocate()
        }

        package borrowing func withLock<R: ~Copyable, E: Error>(
            _ body: (inout sending Value) throws(E) -> sending R
        ) throws(E) -> sending R {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            return try body(&value.pointee)
        }
    }

    typealias Mutex = SanitizedMutex
#endif

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
    package struct SanitizedMutex<Value>: ~Copyable, @unchecked Sendable {
        // Proof: `storage` is read and written under the pthread mutex alone.
        private final class Storage {
            var value: Value
            let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

            init(_ value: consuming Value) {
                self.value = value
                pthread_mutex_init(mutex, nil)
            }

            deinit {
                pthread_mutex_destroy(mutex)
                mutex.deallocate()
            }
        }

        private let storage: Storage

        package init(_ value: consuming sending Value) { storage = Storage(value) }

        package borrowing func withLock<R, E: Error>(
            _ body: (inout sending Value) throws(E) -> sending R
        ) throws(E) -> sending R {
            pthread_mutex_lock(storage.mutex)
            defer { pthread_mutex_unlock(storage.mutex) }
            nonisolated(unsafe) var value = storage.value
            defer { storage.value = value }
            return try body(&value)
        }
    }

    typealias Mutex = SanitizedMutex
#endif

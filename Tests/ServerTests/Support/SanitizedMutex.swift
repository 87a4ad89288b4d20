#if THREAD_SANITIZER
    internal import PostgresWire

    // What the sanitizer can see into; the reason stands beside its definition.
    typealias Mutex = SanitizedMutex
#endif

#if THREAD_SANITIZER
    // Exported, so that every file of the tests sees it.
    @_exported import PostgresWire

    // What the sanitizer can see into; the reason stands beside its definition.
    typealias Mutex = SanitizedMutex
#endif

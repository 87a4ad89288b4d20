#pragma once
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

static inline int64_t wall_nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/// User and system time of this process.
static inline int64_t cpu_nanoseconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000
        + (int64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

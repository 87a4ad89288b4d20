#pragma once
#include <stdint.h>

// Plain libpq, blocking, one thread and one connection per client. Each client asks for random accounts of
// pgbench_accounts in a loop until the time is over.

typedef struct {
    int64_t operations;
    int64_t wall_nanoseconds;
    /// User and system time of this process between the start and the end of the measured part.
    int64_t cpu_nanoseconds;
} baseline_measurement;

typedef enum {
    /// One prepared SELECT: one flight.
    BASELINE_SELECT,
    /// BEGIN, SELECT, COMMIT one after the other: three flights.
    BASELINE_TRANSACTION_BLOCKING,
    /// BEGIN and SELECT in one pipeline, then COMMIT: two flights.
    BASELINE_TRANSACTION_PIPELINED,
} baseline_work;

/// Runs `work` on `clients` connections for `seconds`, after a warm-up of a tenth of it. Returns 0, or -1 with a message in `error`.
int baseline_run(
    baseline_work work, const char *conninfo, int clients, int accounts, double seconds, baseline_measurement *result,
    char *error, int error_size);

typedef enum {
    /// Every row of table `lines` into a struct, the whole result at once.
    BASELINE_READ_WHOLE,
    /// The same, in libpq's single-row mode; nothing is kept.
    BASELINE_READ_SINGLY,
    /// `rows` inserts into table `copies` in one transaction, in one pipeline.
    BASELINE_INSERT,
} baseline_bulk_work;

/// Does the work once to warm up, then again and again for `seconds`, at least once. `operations` counts rows.
int baseline_bulk(
    baseline_bulk_work work, const char *conninfo, int rows, double seconds, baseline_measurement *result, char *error,
    int error_size);

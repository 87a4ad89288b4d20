#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clocks.h"
#include "baselines.h"

// Many rows at once. Results are binary; every value is decoded into a struct, as the library decodes them.

typedef struct {
    int64_t id;
    char name[24];
    double price;
    int64_t at;
} line;

static const char *read_text = "SELECT id, name, price, at FROM lines";

static int64_t integer(const char *bytes) {
    uint64_t value;
    memcpy(&value, bytes, 8);
    return (int64_t)be64toh(value);
}

/// Values of another length than expected are a failure.
static int decode(const PGresult *result, int row, line *into) {
    int length = PQgetlength(result, row, 1);
    if (PQgetlength(result, row, 0) != 8 || length >= (int)sizeof into->name || PQgetlength(result, row, 2) != 8
        || PQgetlength(result, row, 3) != 8) return -1;
    for (int column = 0; column < 4; column++) if (PQgetisnull(result, row, column)) return -1;
    into->id = integer(PQgetvalue(result, row, 0));
    memcpy(into->name, PQgetvalue(result, row, 1), (size_t)length);
    into->name[length] = 0;
    int64_t price = integer(PQgetvalue(result, row, 2));
    memcpy(&into->price, &price, 8);
    into->at = integer(PQgetvalue(result, row, 3));
    return 0;
}

/// The whole result in memory, then every row.
static int64_t read_whole(PGconn *conn) {
    PGresult *result = PQexecParams(conn, read_text, 0, NULL, NULL, NULL, NULL, 1);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) return -1;
    int count = PQntuples(result);
    line *lines = malloc(sizeof(line) * (size_t)count);
    for (int row = 0; row < count; row++) if (decode(result, row, lines + row) != 0) count = -1;
    free(lines);
    PQclear(result);
    return count;
}

/// One row at a time, and nothing kept.
static int64_t read_singly(PGconn *conn) {
    if (PQsendQueryParams(conn, read_text, 0, NULL, NULL, NULL, NULL, 1) != 1 || PQsetSingleRowMode(conn) != 1) return -1;
    int64_t count = 0;
    PGresult *result;
    line line;
    while ((result = PQgetResult(conn)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_SINGLE_TUPLE && count >= 0) count = decode(result, 0, &line) == 0 ? count + 1 : -1;
        else if (status != PGRES_TUPLES_OK) count = -1;
        PQclear(result);
    }
    return count;
}

static int take_sync(PGconn *conn) {
    PGresult *result = PQgetResult(conn);
    int ok = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    return ok;
}

static int take_command(PGconn *conn) {
    PGresult *result = PQgetResult(conn);
    int ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return ok && PQgetResult(conn) == NULL;
}

/// BEGIN, `rows` inserts and COMMIT in one pipeline.
static int64_t insert_all(PGconn *conn, int rows) {
    if (PQenterPipelineMode(conn) != 1 || PQsendQueryParams(conn, "BEGIN", 0, NULL, NULL, NULL, NULL, 1) != 1) return -1;
    const char *text = "INSERT INTO copies VALUES ($1::int8, $2::text, $3::float8)";
    if (PQsendPrepare(conn, "insert", text, 0, NULL) != 1) return -1;
    for (int row = 1; row <= rows; row++) {
        int64_t id = (int64_t)htobe64((uint64_t)row), bits;
        double price = row * 1.5;
        memcpy(&bits, &price, 8);
        bits = (int64_t)htobe64((uint64_t)bits);
        char name[24];
        int length = snprintf(name, sizeof name, "name %d", row);
        const char *values[3] = {(const char *)&id, name, (const char *)&bits};
        const int lengths[3] = {8, length, 8}, formats[3] = {1, 0, 1};
        if (PQsendQueryPrepared(conn, "insert", 3, values, lengths, formats, 1) != 1) return -1;
    }
    if (PQsendQueryParams(conn, "COMMIT", 0, NULL, NULL, NULL, NULL, 1) != 1 || PQpipelineSync(conn) != 1) return -1;
    for (int reply = 0; reply < rows + 3; reply++) if (!take_command(conn)) return -1;
    if (!take_sync(conn) || PQexitPipelineMode(conn) != 1) return -1;
    PQclear(PQexec(conn, "DEALLOCATE insert"));
    return rows;
}

static int64_t once(PGconn *conn, baseline_bulk_work work, int rows) {
    switch (work) {
    case BASELINE_READ_WHOLE: return read_whole(conn);
    case BASELINE_READ_SINGLY: return read_singly(conn);
    case BASELINE_INSERT: return insert_all(conn, rows);
    }
    return -1;
}

int baseline_bulk(
    baseline_bulk_work work, const char *conninfo, int rows, double seconds, baseline_measurement *result, char *error,
    int error_size) {
    PGconn *conn = PQconnectdb(conninfo);
    *result = (baseline_measurement){0};
    int failed = PQstatus(conn) != CONNECTION_OK;
    for (int turn = 0; !failed && (turn < 2 || result->wall_nanoseconds < (int64_t)(seconds * 1e9)); turn++) {
        if (work == BASELINE_INSERT) PQclear(PQexec(conn, "TRUNCATE copies"));
        int64_t cpu_start = cpu_nanoseconds(), start = wall_nanoseconds();
        int64_t done = once(conn, work, rows);
        failed = done < 0;
        if (turn == 0) continue;  // the first turn warms up
        result->operations += done;
        result->wall_nanoseconds += wall_nanoseconds() - start;
        result->cpu_nanoseconds += cpu_nanoseconds() - cpu_start;
    }
    if (failed) snprintf(error, (size_t)error_size, "%s", PQerrorMessage(conn));
    PQfinish(conn);
    return failed ? -1 : 0;
}

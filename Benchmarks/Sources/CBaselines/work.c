#include "work.h"
#include <arpa/inet.h>
#include <string.h>

// All statements are prepared, parameters and results are binary.

static int prepare(PGconn *conn, const char *name, const char *text) {
    PGresult *result = PQprepare(conn, name, text, 0, NULL);
    int ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return ok ? 0 : -1;
}

int work_prepare(PGconn *conn, baseline_work work) {
    if (prepare(conn, "s", "SELECT abalance FROM pgbench_accounts WHERE aid = $1") != 0) return -1;
    if (work == BASELINE_SELECT) return 0;
    if (prepare(conn, "b", "BEGIN") != 0 || prepare(conn, "c", "COMMIT") != 0) return -1;
    return work == BASELINE_TRANSACTION_PIPELINED && PQenterPipelineMode(conn) != 1 ? -1 : 0;
}

/// Reads the balance; a row that is missing is a failure.
static int take_row(PGresult *result) {
    int32_t balance = 0;
    int ok = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 && PQgetlength(result, 0, 0) == 4;
    if (ok) memcpy(&balance, PQgetvalue(result, 0, 0), 4);
    PQclear(result);
    return ok ? 0 : -1;
}

static int take_command(PGresult *result) {
    int ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return ok ? 0 : -1;
}

static int command(PGconn *conn, const char *name) {
    return take_command(PQexecPrepared(conn, name, 0, NULL, NULL, NULL, 1));
}

static int send_select(PGconn *conn, const int32_t *account) {
    const char *values[1] = {(const char *)account};
    const int lengths[1] = {4}, formats[1] = {1};
    return PQsendQueryPrepared(conn, "s", 1, values, lengths, formats, 1) == 1 ? 0 : -1;
}

static int select_account(PGconn *conn, const int32_t *account) {
    const char *values[1] = {(const char *)account};
    const int lengths[1] = {4}, formats[1] = {1};
    return take_row(PQexecPrepared(conn, "s", 1, values, lengths, formats, 1));
}

static int expect_gap(PGconn *conn) { return PQgetResult(conn) == NULL ? 0 : -1; }

static int expect_sync(PGconn *conn) {
    PGresult *result = PQgetResult(conn);
    int ok = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    return ok ? 0 : -1;
}

static int pipelined(PGconn *conn, const int32_t *account) {
    if (PQsendQueryPrepared(conn, "b", 0, NULL, NULL, NULL, 1) != 1) return -1;
    if (send_select(conn, account) != 0 || PQpipelineSync(conn) != 1) return -1;
    if (take_command(PQgetResult(conn)) != 0 || expect_gap(conn) != 0) return -1;
    if (take_row(PQgetResult(conn)) != 0 || expect_gap(conn) != 0 || expect_sync(conn) != 0) return -1;
    if (PQsendQueryPrepared(conn, "c", 0, NULL, NULL, NULL, 1) != 1 || PQpipelineSync(conn) != 1) return -1;
    return take_command(PQgetResult(conn)) == 0 && expect_gap(conn) == 0 ? expect_sync(conn) : -1;
}

int work_once(PGconn *conn, baseline_work work, int account) {
    int32_t parameter = (int32_t)htonl((uint32_t)account);
    switch (work) {
    case BASELINE_SELECT: return select_account(conn, &parameter);
    case BASELINE_TRANSACTION_BLOCKING:
        return command(conn, "b") == 0 && select_account(conn, &parameter) == 0 ? command(conn, "c") : -1;
    case BASELINE_TRANSACTION_PIPELINED: return pipelined(conn, &parameter);
    }
    return -1;
}

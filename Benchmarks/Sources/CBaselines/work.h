#pragma once
#include <libpq-fe.h>
#include "baselines.h"

/// Prepares the statements of `work` on a fresh connection. Returns 0 on success.
int work_prepare(PGconn *conn, baseline_work work);

/// Does one unit of work for one account. Returns 0 on success; `PQerrorMessage` has the reason otherwise.
int work_once(PGconn *conn, baseline_work work, int account);

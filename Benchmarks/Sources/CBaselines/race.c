#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "clocks.h"
#include "work.h"

typedef struct {
    baseline_work work;
    const char *conninfo;
    int accounts;
    atomic_int ready, failed;
    /// 0: connect and wait, 1: warm up, 2: count, 3: stop.
    atomic_int phase;
    char *error;
    int error_size;
} race;

typedef struct {
    race *race;
    pthread_t thread;
    uint64_t random;
    int64_t operations;
} client;

static void pause_for(double seconds) {
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

static void fail(race *race, PGconn *conn) {
    if (atomic_exchange(&race->failed, 1) == 0) snprintf(race->error, (size_t)race->error_size, "%s", PQerrorMessage(conn));
}

static int next_account(client *client) {
    client->random ^= client->random << 13;
    client->random ^= client->random >> 7;
    client->random ^= client->random << 17;
    return (int)(client->random % (uint64_t)client->race->accounts) + 1;
}

static void *run_client(void *argument) {
    client *self = argument;
    race *race = self->race;
    PGconn *conn = PQconnectdb(race->conninfo);
    if (PQstatus(conn) != CONNECTION_OK || work_prepare(conn, race->work) != 0) fail(race, conn);
    atomic_fetch_add(&race->ready, 1);
    while (atomic_load(&race->phase) == 0 && !atomic_load(&race->failed)) pause_for(0.001);
    int phase = 1;
    while (phase < 3 && !atomic_load_explicit(&race->failed, memory_order_relaxed)) {
        if (work_once(conn, race->work, next_account(self)) != 0) fail(race, conn);
        phase = atomic_load_explicit(&race->phase, memory_order_relaxed);
        if (phase == 2) self->operations += 1;
    }
    PQfinish(conn);
    return NULL;
}

static void measure(race *race, int clients, double seconds, baseline_measurement *result) {
    while (atomic_load(&race->ready) < clients && !atomic_load(&race->failed)) pause_for(0.001);
    if (atomic_load(&race->failed)) return;
    atomic_store(&race->phase, 1);
    pause_for(seconds / 10);
    int64_t cpu_start = cpu_nanoseconds(), start = wall_nanoseconds();
    atomic_store(&race->phase, 2);
    pause_for(seconds);
    atomic_store(&race->phase, 3);
    result->wall_nanoseconds = wall_nanoseconds() - start;
    result->cpu_nanoseconds = cpu_nanoseconds() - cpu_start;
}

int baseline_run(
    baseline_work work, const char *conninfo, int clients, int accounts, double seconds, baseline_measurement *result,
    char *error, int error_size) {
    race race = {.work = work, .conninfo = conninfo, .accounts = accounts, .error = error, .error_size = error_size};
    client *all = calloc((size_t)clients, sizeof(client));
    for (int i = 0; i < clients; i++) {
        all[i] = (client){.race = &race, .random = 0x9E3779B97F4A7C15u * (uint64_t)(i + 1)};
        pthread_create(&all[i].thread, NULL, run_client, &all[i]);
    }
    *result = (baseline_measurement){0};
    measure(&race, clients, seconds, result);
    for (int i = 0; i < clients; i++) {
        pthread_join(all[i].thread, NULL);
        result->operations += all[i].operations;
    }
    free(all);
    return atomic_load(&race.failed) ? -1 : 0;
}

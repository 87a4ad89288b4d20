// What Swift cannot import of libpq: feature probes, macros, and the kernel's readiness calls. No logic.
#ifndef CLIBPQ_SHIM_H
#define CLIBPQ_SHIM_H

#if !__has_include(<libpq-fe.h>)
#error "libpq's headers were not found. Install them: apt-get install libpq-dev (Debian, Ubuntu), yum install libpq-devel (Fedora, RHEL, Amazon Linux), brew install libpq (macOS)."
#endif

#include <libpq-fe.h>

#if !defined(LIBPQ_HAS_PIPELINING)
#error "libpq is older than 14, which has no pipeline mode. Install libpq 14 or later: apt-get install libpq-dev, yum install libpq-devel, brew install libpq."
#endif

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#else
#include <sys/event.h>
#include <xlocale.h>
#endif

/// Monotonic nanoseconds.
static inline int64_t cpq_monotonic_nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/// The same clock as of its last tick, some milliseconds ago at most; a fifth of the price where the system has it.
static inline int64_t cpq_recent_monotonic_nanoseconds(void) {
#ifdef CLOCK_MONOTONIC_COARSE
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
#else
    return cpq_monotonic_nanoseconds();
#endif
}

/// `PG_DIAG_*` are C character macros, which Swift does not import as integers.
enum {
    CPQ_DIAG_SEVERITY = PG_DIAG_SEVERITY_NONLOCALIZED,
    CPQ_DIAG_SEVERITY_LOCALIZED = PG_DIAG_SEVERITY,
    CPQ_DIAG_SQLSTATE = PG_DIAG_SQLSTATE,
    CPQ_DIAG_MESSAGE = PG_DIAG_MESSAGE_PRIMARY,
    CPQ_DIAG_DETAIL = PG_DIAG_MESSAGE_DETAIL,
    CPQ_DIAG_HINT = PG_DIAG_MESSAGE_HINT,
    CPQ_DIAG_POSITION = PG_DIAG_STATEMENT_POSITION,
    CPQ_DIAG_CONTEXT = PG_DIAG_CONTEXT,
    CPQ_DIAG_SCHEMA = PG_DIAG_SCHEMA_NAME,
    CPQ_DIAG_TABLE = PG_DIAG_TABLE_NAME,
    CPQ_DIAG_COLUMN = PG_DIAG_COLUMN_NAME,
    CPQ_DIAG_DATATYPE = PG_DIAG_DATATYPE_NAME,
    CPQ_DIAG_CONSTRAINT = PG_DIAG_CONSTRAINT_NAME,
    CPQ_DIAG_ROUTINE = PG_DIAG_SOURCE_FUNCTION,
    CPQ_MSG_DONTWAIT = MSG_DONTWAIT,
};

/// Bytes that OpenSSL has decrypted and that no readiness call can see. 0 without TLS or without OpenSSL.
static inline int cpq_tls_pending(PGconn *conn) {
    static int (*pending)(const void *);
    void *tls = PQsslStruct(conn, "OpenSSL");
    if (!tls) return 0;
    if (!pending) pending = (int (*)(const void *))dlsym(RTLD_DEFAULT, "SSL_pending");
    return pending ? pending(tls) : 0;
}

/// Whether the socket has something to read (bytes, end of stream or an error) right now.
static inline bool cpq_is_readable(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;
    do { n = poll(&p, 1, 0); } while (n < 0 && errno == EINTR);
    return n != 0;
}

/// A second descriptor for the same socket, not inherited by other programs; -1 and errno on failure.
static inline int cpq_duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

static inline int cpq_errno(void) { return errno; }

// Functions of libpq 17 and later, where the headers have them.
/// A Sync that stays in the output buffer (17) or leaves at once (14 to 16).
static inline int cpq_pipeline_sync(PGconn *conn) {
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    return PQsendPipelineSync(conn);
#else
    return PQpipelineSync(conn);
#endif
}

/// While on, what is written waits in the kernel for more, at most for 200 ms. Not every socket can, and none has to.
static inline void cpq_cork(int fd, int is_on) {
#if defined(TCP_CORK)
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &is_on, sizeof is_on);
#elif defined(TCP_NOPUSH)
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOPUSH, &is_on, sizeof is_on);
#endif
}

/// The rows of the command whose results come next are handed out in chunks (17), or one by one (14 to 16). 0: too early, or
/// too late.
static inline int cpq_stream_rows(PGconn *conn, int rows) {
#ifdef LIBPQ_HAS_CHUNK_MODE
    return PQsetChunkedRowsMode(conn, rows);
#else
    (void)rows;
    return PQsetSingleRowMode(conn);
#endif
}

/// `PGRES_TUPLES_CHUNK` exists from 17; older libpq never returns this number.
static inline bool cpq_is_partial_rows(ExecStatusType status) {
#ifdef LIBPQ_HAS_CHUNK_MODE
    if (status == PGRES_TUPLES_CHUNK) return true;
#endif
    return status == PGRES_SINGLE_TUPLE;
}

/// A cancel request for what `conn` runs now. 17: encrypted like the original; 14 to 16: plain. Made by the borrower.
static inline void *cpq_cancel_create(PGconn *conn) {
#ifdef LIBPQ_HAS_ASYNC_CANCEL
    return PQcancelCreate(conn);
#else
    return PQgetCancel(conn);
#endif
}

/// Sends the request and waits for its connection's end. Blocks; any thread. False: the server may not have got it.
static inline bool cpq_cancel_run(void *request) {
#ifdef LIBPQ_HAS_ASYNC_CANCEL
    return PQcancelBlocking((PGcancelConn *)request) == 1;
#else
    char message[256];
    return PQcancel((PGcancel *)request, message, sizeof message) == 1;
#endif
}

static inline void cpq_cancel_free(void *request) {
#ifdef LIBPQ_HAS_ASYNC_CANCEL
    PQcancelFinish((PGcancelConn *)request);
#else
    PQfreeCancel((PGcancel *)request);
#endif
}

// One instance per process, though every includer sees the definition.
__attribute__((weak)) int cpq_fork_count = 0;
static void cpq_note_fork(void) { cpq_fork_count++; }
/// From now on, `cpq_is_forked` tells a child process that it is one.
static inline void cpq_watch_forks(void) { pthread_atfork(NULL, NULL, cpq_note_fork); }
static inline bool cpq_is_forked(void) { return cpq_fork_count != 0; }

/// From here on, what libpq and the system say in this thread is English, whatever the process's locale.
static inline void cpq_use_plain_locale(void) {
#ifdef __APPLE__
    uselocale(LC_C_LOCALE);
#else
    uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));  // a constant of the C library: nothing to free
#endif
}

static inline void cpq_set_thread_name(const char *name) {
#ifdef __linux__
    prctl(PR_SET_NAME, name, 0, 0, 0);
#else
    pthread_setname_np(name);
#endif
}

#ifdef __linux__
static inline int cpq_epoll_add(int epoll, int fd, uint32_t events, void *token) {
    struct epoll_event e = {.events = events, .data = {.ptr = token}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}
static inline int cpq_epoll_remove(int epoll, int fd) {
    return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
}
static inline int cpq_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms) {
    return epoll_wait(epoll, events, count, timeout_ms);
}
static inline void *cpq_epoll_token(const struct epoll_event *e) { return e->data.ptr; }
/// Edge-triggered interest in everything, and the bits of what may have become possible.
static const uint32_t CPQ_EPOLL_EDGE_ALL = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
static const uint32_t CPQ_EPOLL_LEVEL_IN = EPOLLIN;
static const uint32_t CPQ_EPOLL_EDGE_IN = EPOLLIN | EPOLLET;
static const uint32_t CPQ_EPOLL_ANY_READ = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
static const uint32_t CPQ_EPOLL_ANY_WRITE = EPOLLOUT | EPOLLHUP | EPOLLERR;
static const uint32_t CPQ_EPOLL_ENDED = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
static inline int cpq_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
static inline int cpq_timerfd(void) { return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC); }
/// Rings once at a moment of the monotonic clock, or at once where it has passed.
static inline int cpq_timerfd_set(int timer, int64_t nanoseconds) {
    struct itimerspec at = {.it_value = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000}};
    return timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}
static inline int cpq_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
#endif

#endif

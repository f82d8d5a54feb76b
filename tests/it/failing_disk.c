/* A disk that fails: loaded before the C library, it fails writes, syncs and truncations of the
 * files whose path begins with what FAILING_DISK names, and counts them.
 *
 *   FAILING_DISK        the store's path; its log and index begin with it
 *   FAILING_DISK_COUNT  a file that gets one byte for each such call: '.' done, 'x' failed
 *   FAILING_DISK_AT     the number of the first call that fails, from 1; 0 or none: no call
 *   FAILING_DISK_ERRNO  with what
 *   FAILING_DISK_WELL   a file: calls fail until it is there. None: one call fails
 *
 * The first write of a disk that has become full is done in part, as a real one does it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *store, *well;
static size_t store_length;
static long first_failure;
static int trouble, count_file = -1;
static atomic_long calls;

__attribute__((constructor)) static void begin(void) {
    store = getenv("FAILING_DISK");
    well = getenv("FAILING_DISK_WELL");
    const char *at = getenv("FAILING_DISK_AT"), *with = getenv("FAILING_DISK_ERRNO");
    const char *count = getenv("FAILING_DISK_COUNT");
    store_length = store ? strlen(store) : 0;
    first_failure = at ? atol(at) : 0;
    trouble = with ? atoi(with) : EIO;
    if (count) count_file = open(count, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static int is_of_store(int file) {
    char link[64], path[4096];
    if (!store) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path);
    return length >= (ssize_t)store_length && memcmp(path, store, store_length) == 0;
}

enum outcome { DONE, FAILED, FAILED_AT_FIRST };

/* Counts a call on a file and says whether it fails. */
static enum outcome meet(int file) {
    if (!is_of_store(file)) return DONE;
    long number = atomic_fetch_add(&calls, 1) + 1;
    enum outcome outcome = DONE;
    if (first_failure > 0 && number == first_failure)
        outcome = FAILED_AT_FIRST;
    else if (first_failure > 0 && number > first_failure && well && syscall(SYS_access, well, F_OK) != 0)
        outcome = FAILED;
    if (count_file >= 0) syscall(SYS_write, count_file, outcome == DONE ? "." : "x", 1);
    return outcome;
}

static int fails(int file) {
    if (meet(file) == DONE) return 0;
    errno = trouble;
    return 1;
}

/* How much of a write is done: all of it, the half of it, or nothing. */
static ssize_t done_of(int file, size_t length) {
    enum outcome outcome = meet(file);
    if (outcome == DONE) return (ssize_t)length;
    if (outcome == FAILED_AT_FIRST && trouble == ENOSPC && well && length > 1)
        return (ssize_t)(length / 2);
    errno = trouble;
    return -1;
}

#define REAL(name, result, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int file, const void *bytes, size_t length) {
    REAL("write", ssize_t, int, const void *, size_t);
    ssize_t done = done_of(file, length);
    return done < 0 ? -1 : real(file, bytes, (size_t)done);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
    REAL("pwrite", ssize_t, int, const void *, size_t, off_t);
    ssize_t done = done_of(file, length);
    return done < 0 ? -1 : real(file, bytes, (size_t)done, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    REAL("pwrite64", ssize_t, int, const void *, size_t, off64_t);
    ssize_t done = done_of(file, length);
    return done < 0 ? -1 : real(file, bytes, (size_t)done, at);
}

int fsync(int file) {
    REAL("fsync", int, int);
    return fails(file) ? -1 : real(file);
}

int fdatasync(int file) {
    REAL("fdatasync", int, int);
    return fails(file) ? -1 : real(file);
}

int ftruncate(int file, off_t length) {
    REAL("ftruncate", int, int, off_t);
    return fails(file) ? -1 : real(file, length);
}

int ftruncate64(int file, off64_t length) {
    REAL("ftruncate64", int, int, off64_t);
    return fails(file) ? -1 : real(file, length);
}

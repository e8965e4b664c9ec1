/* Writes down what a process does to the files below one folder, so that scripts/tortures/disk.py can say what a power cut
 * would have left of them. Preloaded into a node by scripts/torture crash.
 *
 *   TORTURE_JOURNAL            the journal, appended to: records as in scripts/tortures/journal.py
 *   TORTURE_JOURNAL_ROOT       the folder, an absolute path without links
 *   TORTURE_JOURNAL_SYNC_US    how long a sync takes
 *   TORTURE_JOURNAL_UNSYNCED   syncs of files whose path ends so do nothing, and say that they did
 *
 * A record is written after its operation and before the caller goes on, both under one lock, so the journal has the order in
 * which things happened. No sync reaches the real disk: what counts as durable is what the journal says. A sync has two
 * records, since what is written while it runs need not be part of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 65536 };

struct record {
    uint32_t kind, fd;
    uint64_t at;
    uint32_t first_bytes, second_bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static char root[PATH_MAX];
static size_t root_length;
static long sync_us;
static const char *unsynced;
static char watched[FDS], never_synced[FDS];
static uint64_t tickets;


static void put(char kind, int fd, uint64_t at, const void *first, size_t first_bytes, const void *second,
                size_t second_bytes) {
    struct record head = {(uint32_t)kind, (uint32_t)fd, at, (uint32_t)first_bytes, (uint32_t)second_bytes};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)first, first_bytes}, {(void *)second, second_bytes}};
    if (syscall(SYS_writev, journal, parts, 3) != (long)(sizeof head + first_bytes + second_bytes))
        abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TORTURE_JOURNAL"), *folder = getenv("TORTURE_JOURNAL_ROOT"), *us;
    if (path == NULL || folder == NULL || strlen(folder) >= sizeof root)
        return;
    strcpy(root, folder);
    root_length = strlen(root);
    us = getenv("TORTURE_JOURNAL_SYNC_US");
    sync_us = us == NULL ? 0 : strtol(us, NULL, 10);
    unsynced = getenv("TORTURE_JOURNAL_UNSYNCED");
    journal = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0)
        abort();
    put('S', 0, 0, NULL, 0, NULL, 0);
}

/* The path below the folder, empty for the folder itself; or NULL. */
static const char *inside(int folder_fd, const char *path, char *whole) {
    if (journal < 0 || path == NULL)
        return NULL;
    if (path[0] == '/') {
        if (snprintf(whole, PATH_MAX, "%s", path) >= PATH_MAX)
            return NULL;
    } else {
        char base[PATH_MAX], link[64];
        ssize_t length;
        if (folder_fd == AT_FDCWD)
            strcpy(link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder_fd);
        length = readlink(link, base, sizeof base - 1);
        if (length < 0)
            return NULL;
        base[length] = 0;
        if (snprintf(whole, PATH_MAX, "%s/%s", base, path) >= PATH_MAX)
            return NULL;
    }
    if (strncmp(whole, root, root_length) != 0)
        return NULL;
    if (whole[root_length] == 0)
        return whole + root_length;
    return whole[root_length] == '/' ? whole + root_length + 1 : NULL;
}

static int is_watched(int fd) { return journal >= 0 && fd >= 0 && fd < FDS && watched[fd]; }

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static int open_watched(int folder_fd, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    const char *name = inside(folder_fd, path, whole);
    int fd;
    if (name == NULL)
        return (int)syscall(SYS_openat, folder_fd, path, flags, mode);
    pthread_mutex_lock(&lock);
    fd = (int)syscall(SYS_openat, folder_fd, path, flags, mode);
    if (fd >= FDS)
        abort();
    if (fd >= 0) {
        int error = errno;
        watched[fd] = 1;
        never_synced[fd] = unsynced != NULL && ends_with(name, unsynced);
        put('O', fd, (uint64_t)(((flags & O_CREAT) != 0) | ((flags & O_TRUNC) != 0) << 1), name, strlen(name), NULL, 0);
        errno = error;
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_of(int flags, va_list more) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;
}

#define OPEN(name)                                                                                                             \
    int name(const char *path, int flags, ...) {                                                                               \
        va_list more;                                                                                                          \
        mode_t mode;                                                                                                           \
        va_start(more, flags);                                                                                                 \
        mode = mode_of(flags, more);                                                                                           \
        va_end(more);                                                                                                          \
        return open_watched(AT_FDCWD, path, flags, mode);                                                                      \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                           \
    int name(int folder_fd, const char *path, int flags, ...) {                                                                \
        va_list more;                                                                                                          \
        mode_t mode;                                                                                                           \
        va_start(more, flags);                                                                                                 \
        mode = mode_of(flags, more);                                                                                           \
        va_end(more);                                                                                                          \
        return open_watched(folder_fd, path, flags, mode);                                                                     \
    }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode) { return open_watched(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

int close(int fd) {
    int result;
    if (!is_watched(fd))
        return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    watched[fd] = 0;
    result = (int)syscall(SYS_close, fd);
    put('C', fd, 0, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

static ssize_t written(int fd, off_t at, const void *data, ssize_t bytes) {
    int error = errno;
    if (bytes > 0) {
        if (at < 0)
            at = lseek(fd, 0, SEEK_CUR) - bytes;
        put('W', fd, (uint64_t)at, NULL, 0, data, (size_t)bytes);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return bytes;
}

ssize_t write(int fd, const void *data, size_t bytes) {
    if (!is_watched(fd))
        return syscall(SYS_write, fd, data, bytes);
    pthread_mutex_lock(&lock);
    return written(fd, -1, data, syscall(SYS_write, fd, data, bytes));
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) {
    if (!is_watched(fd))
        return syscall(SYS_pwrite64, fd, data, bytes, at);
    pthread_mutex_lock(&lock);
    return written(fd, at, data, syscall(SYS_pwrite64, fd, data, bytes, at));
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at) { return pwrite(fd, data, bytes, at); }

/* Nothing of ours writes files so; whoever begins to must be seen. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (is_watched(fd))
        abort();
    return syscall(SYS_writev, fd, parts, count);
}

static int resized(int fd, off_t bytes, int result) {
    int error = errno;
    if (result == 0)
        put('T', fd, (uint64_t)bytes, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int ftruncate(int fd, off_t bytes) {
    if (!is_watched(fd))
        return (int)syscall(SYS_ftruncate, fd, bytes);
    pthread_mutex_lock(&lock);
    return resized(fd, bytes, (int)syscall(SYS_ftruncate, fd, bytes));
}

int ftruncate64(int fd, off64_t bytes) { return ftruncate(fd, bytes); }

int truncate(const char *path, off_t bytes) {
    int fd = open_watched(AT_FDCWD, path, O_WRONLY, 0), result;
    if (fd < 0)
        return -1;
    result = ftruncate(fd, bytes);
    close(fd);
    return result;
}

int truncate64(const char *path, off64_t bytes) { return truncate(path, bytes); }

/* Room set aside is forgotten; a file that grows by it is not. */
int fallocate(int fd, int mode, off_t at, off_t bytes) {
    struct stat before, after;
    int result;
    if (!is_watched(fd))
        return (int)syscall(SYS_fallocate, fd, mode, at, bytes);
    pthread_mutex_lock(&lock);
    if (fstat(fd, &before) != 0)
        abort();
    result = (int)syscall(SYS_fallocate, fd, mode, at, bytes);
    if (fstat(fd, &after) != 0)
        abort();
    if (result == 0 && after.st_size != before.st_size)
        put('T', fd, (uint64_t)after.st_size, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int fallocate64(int fd, int mode, off64_t at, off64_t bytes) { return fallocate(fd, mode, at, bytes); }

int posix_fallocate(int fd, off_t at, off_t bytes) { return fallocate(fd, 0, at, bytes) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t at, off64_t bytes) { return posix_fallocate(fd, at, bytes); }

static int sync_watched(int fd) {
    uint64_t ticket;
    struct timespec delay = {sync_us / 1000000, sync_us % 1000000 * 1000};
    if (never_synced[fd])
        return 0;
    pthread_mutex_lock(&lock);
    ticket = ++tickets;
    put('F', fd, ticket, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (sync_us > 0)
        nanosleep(&delay, NULL);
    pthread_mutex_lock(&lock);
    put('f', fd, ticket, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return is_watched(fd) ? sync_watched(fd) : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return is_watched(fd) ? sync_watched(fd) : (int)syscall(SYS_fdatasync, fd); }

/* One that changes names: `call` is the operation, the rest what is written down of it. */
#define NAMES(kind, first, second, call)                                                                                       \
    do {                                                                                                                       \
        int result, error;                                                                                                     \
        pthread_mutex_lock(&lock);                                                                                             \
        result = (int)(call);                                                                                                  \
        error = errno;                                                                                                         \
        if (result == 0)                                                                                                       \
            put(kind, 0, 0, first, strlen(first), second, strlen(second));                                                     \
        pthread_mutex_unlock(&lock);                                                                                           \
        errno = error;                                                                                                         \
        return result;                                                                                                         \
    } while (0)

int renameat2(int old_fd, const char *old_path, int new_fd, const char *new_path, unsigned flags) {
    char old_whole[PATH_MAX], new_whole[PATH_MAX];
    const char *old_name = inside(old_fd, old_path, old_whole), *new_name = inside(new_fd, new_path, new_whole);
    if (old_name == NULL && new_name == NULL)
        return (int)syscall(SYS_renameat2, old_fd, old_path, new_fd, new_path, flags);
    if (old_name == NULL || new_name == NULL || flags != 0)
        abort();
    NAMES('R', old_name, new_name, syscall(SYS_renameat2, old_fd, old_path, new_fd, new_path, flags));
}

int renameat(int old_fd, const char *old_path, int new_fd, const char *new_path) {
    return renameat2(old_fd, old_path, new_fd, new_path, 0);
}

int rename(const char *old_path, const char *new_path) { return renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, 0); }

int linkat(int old_fd, const char *old_path, int new_fd, const char *new_path, int flags) {
    char old_whole[PATH_MAX], new_whole[PATH_MAX];
    const char *old_name = inside(old_fd, old_path, old_whole), *new_name = inside(new_fd, new_path, new_whole);
    if (old_name == NULL || new_name == NULL)
        return (int)syscall(SYS_linkat, old_fd, old_path, new_fd, new_path, flags);
    NAMES('L', old_name, new_name, syscall(SYS_linkat, old_fd, old_path, new_fd, new_path, flags));
}

int link(const char *old_path, const char *new_path) { return linkat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0); }

int unlinkat(int folder_fd, const char *path, int flags) {
    char whole[PATH_MAX];
    const char *name = inside(folder_fd, path, whole);
    if (name == NULL)
        return (int)syscall(SYS_unlinkat, folder_fd, path, flags);
    NAMES('U', name, "", syscall(SYS_unlinkat, folder_fd, path, flags));
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int remove(const char *path) {
    struct stat found;
    if (lstat(path, &found) != 0)
        return -1;
    return unlinkat(AT_FDCWD, path, S_ISDIR(found.st_mode) ? AT_REMOVEDIR : 0);
}

int mkdirat(int folder_fd, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    const char *name = inside(folder_fd, path, whole);
    if (name == NULL)
        return (int)syscall(SYS_mkdirat, folder_fd, path, mode);
    NAMES('M', name, "", syscall(SYS_mkdirat, folder_fd, path, mode));
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

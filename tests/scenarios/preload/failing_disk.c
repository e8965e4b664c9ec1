/* A disk that fails on command: while the file MESHBOX_FAILING_DISK exists, what it says happens to
 * every file below MESHBOX_FAILING_FOLDER: "full" refuses to write or make one (ENOSPC), "sync"
 * refuses to sync (EIO); with an ending behind it, as in "full.sst", only those whose names end so.
 * Preloaded into a node by tests/scenarios/test_failing_disk.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *how, const char *path) {
    char said[16] = "";
    const char *flag = getenv("MESHBOX_FAILING_DISK");
    long fd = flag == NULL ? -1 : syscall(SYS_openat, AT_FDCWD, flag, O_RDONLY, 0);
    if (fd < 0)
        return 0;
    long size = syscall(SYS_read, fd, said, sizeof said - 1);
    syscall(SYS_close, fd);
    if (size <= 0 || strncmp(said, how, strlen(how)) != 0)
        return 0;
    const char *ending = said + strlen(how);
    size_t length = strlen(path), wanted = strlen(ending);
    return length >= wanted && strcmp(path + length - wanted, ending) == 0;
}

static int is_below(const char *path) {
    const char *folder = getenv("MESHBOX_FAILING_FOLDER");
    return folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static int refuses(const char *how, int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return is_below(path) && fails(how, path);
}

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))
#define REFUSE(how, fd, error)                                                                     \
    if (refuses(how, fd)) {                                                                        \
        errno = error;                                                                             \
        return -1;                                                                                 \
    }

ssize_t write(int fd, const void *data, size_t size) {
    REFUSE("full", fd, ENOSPC)
    return REAL("write", ssize_t(*)(int, const void *, size_t))(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REFUSE("full", fd, ENOSPC)
    return REAL("pwrite64", ssize_t(*)(int, const void *, size_t, off64_t))(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    REFUSE("full", fd, ENOSPC)
    return REAL("pwrite", ssize_t(*)(int, const void *, size_t, off_t))(fd, data, size, offset);
}

int fdatasync(int fd) {
    REFUSE("sync", fd, EIO)
    return REAL("fdatasync", int (*)(int))(fd);
}

int fsync(int fd) {
    REFUSE("sync", fd, EIO)
    return REAL("fsync", int (*)(int))(fd);
}

static int refuses_to_make(const char *path, int flags) {
    return (flags & O_CREAT) != 0 && is_below(path) && fails("full", path) &&
           syscall(SYS_faccessat, AT_FDCWD, path, F_OK, 0) != 0;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        int mode = va_arg(more, int);                                                              \
        va_end(more);                                                                              \
        if (refuses_to_make(path, flags)) {                                                        \
            errno = ENOSPC;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
        return REAL(#name, int (*)(const char *, int, ...))(path, flags, mode);                    \
    }

OPEN(open)
OPEN(open64)

/* A slow disk: every sync to it takes MESHBOX_SLOW_SYNC_MS longer while the file
 * MESHBOX_SLOW_SYNC exists; a byte is added to the file for each. Preloaded into a node by tests/scenarios/test_slow_disk.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_if_slow(void) {
    const char *flag = getenv("MESHBOX_SLOW_SYNC");
    const char *ms = getenv("MESHBOX_SLOW_SYNC_MS");
    if (flag == NULL || ms == NULL)
        return;
    int told = open(flag, O_WRONLY | O_APPEND);
    if (told < 0)
        return;
    if (write(told, ".", 1) != 1)
        abort();
    close(told);
    long delay_ms = strtol(ms, NULL, 10);
    struct timespec delay = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    nanosleep(&delay, NULL);
}

/* Before the real call: until it returns, nothing that was written counts as on the disk. */
int fdatasync(int fd) {
    wait_if_slow();
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return real(fd);
}

int fsync(int fd) {
    wait_if_slow();
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return real(fd);
}

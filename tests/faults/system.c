// The end of the process at its Nth call that changes the disk, a disk that is full from then on, and one
// that takes each write in two parts.
#include "fault.h"
#include "wrap.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

// "kill-write": when a write is done by half; "kill-call": before any other call. "count-calls" says at the
// end how many of both there were. They count from the fault's step on.
static atomic_llong calls, writes, syncs;

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static bool is_the(atomic_llong *count, const char *name) {
    if (step_in_work() < planted.step) return false;
    return atomic_fetch_add(count, 1) + 1 == planted.call && fault_is(name);
}

static void before_call(void) {
    if (is_the(&calls, "kill-call")) die();
}

__attribute__((destructor)) static void tell(void) {
    if (fault_is("count-calls"))
        fprintf(stderr, "%lld calls %lld writes %lld fsyncs\n", (long long)calls, (long long)writes,
                (long long)syncs);
}

// The terminal is not the disk.
static bool on_disk(int fd) {
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && fd > STDERR_FILENO;
}

// "full-disk": the write takes half of the bytes, and those behind it none. "failed-fsync": a disk that
// breaks.
static bool is_full(void) {
    return fault_is("full-disk") && writes > planted.call;
}

// How many bytes of a write are done, or -1 for none. *dies: the process does behind it.
static ssize_t allowed(int fd, size_t size, bool *dies) {
    *dies = false;
    if (!on_disk(fd)) return (ssize_t)size;
    bool struck = is_the(&writes, planted.name);
    if (is_full()) {
        errno = ENOSPC;
        return -1;
    }
    *dies = struck && fault_is("kill-write");
    bool half = *dies || (struck && fault_is("full-disk")) || fault_is("short-writes");
    return (ssize_t)(half && size > 1 ? size / 2 : size);
}

ssize_t __wrap_write(int fd, const void *data, size_t size) {
    bool dies;
    ssize_t done = allowed(fd, size, &dies);
    if (done >= 0) done = __real_write(fd, data, (size_t)done);
    if (dies) die();
    return done;
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset) {
    bool dies;
    ssize_t done = allowed(fd, size, &dies);
    if (done >= 0) done = __real_pwrite64(fd, data, (size_t)done, offset);
    if (dies) die();
    return done;
}

int __wrap_fsync(int fd) {
    before_call();
    if (is_the(&syncs, "failed-fsync")) {
        errno = EIO;
        return -1;
    }
    return __real_fsync(fd);
}

int __wrap_open64(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
        before_call();
    }
    return __real_open64(path, flags, mode);
}

int __wrap_ftruncate64(int fd, off_t size) {
    before_call();
    return __real_ftruncate64(fd, size);
}

int __wrap_rename(const char *from, const char *to) {
    before_call();
    return __real_rename(from, to);
}

int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    before_call();
    return __real_renameat2(from_folder, from, to_folder, to, flags);
}

int __wrap_mkdir(const char *path, mode_t mode) {
    before_call();
    return __real_mkdir(path, mode);
}

int __wrap_symlink(const char *target, const char *path) {
    before_call();
    return __real_symlink(target, path);
}

int __wrap_unlink(const char *path) {
    before_call();
    return __real_unlink(path);
}

int __wrap_unlinkat(int folder, const char *path, int flags) {
    before_call();
    return __real_unlinkat(folder, path, flags);
}

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

mm_status mm_io_create(const char *path, int *fd, mm_error *error) {
    *fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return *fd < 0 ? mm_trouble_errno(error, path, "create the file") : MM_OK;
}

mm_status mm_io_open(const char *path, int *fd, uint64_t *size, mm_error *error) {
    // O_NONBLOCK: opening a named pipe must answer, not wait for a writer.
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0) return mm_trouble_errno(error, path, "open the file");
    struct stat info;
    mm_status status = MM_OK;
    if (fstat(*fd, &info) < 0) {
        status = mm_trouble_errno(error, path, "look at the file");
    } else if (!S_ISREG(info.st_mode)) {
        status = mm_trouble(error, "%s: found %s, expected a regular file", path,
                            S_ISDIR(info.st_mode) ? "a folder" : "a device, pipe or socket");
    }
    if (status != MM_OK) {
        close(*fd);
        *fd = -1;
        return status;
    }
    *size = (uint64_t)info.st_size;
    return MM_OK;
}

mm_status mm_io_write(int fd, const void *data, size_t size, const char *path, mm_error *error) {
    const char *next = data;
    while (size > 0) {
        ssize_t done = write(fd, next, size);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return mm_trouble_errno(error, path, "write to it");
        next += done;
        size -= (size_t)done;
    }
    return MM_OK;
}

mm_status mm_io_write_at(int fd, const void *data, size_t size, uint64_t offset, const char *path,
                         mm_error *error) {
    const char *next = data;
    while (size > 0) {
        ssize_t done = pwrite(fd, next, size, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return mm_trouble_errno(error, path, "write to it");
        next += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return MM_OK;
}

mm_status mm_io_finish(int fd, const char *path, mm_error *error) {
    mm_status status = MM_OK;
    if (fsync(fd) < 0) status = mm_trouble_errno(error, path, "fsync the file");
    if (close(fd) < 0 && status == MM_OK) status = mm_trouble_errno(error, path, "close the file");
    return status;
}

mm_status mm_io_read_at(int fd, void *out, size_t size, uint64_t offset, const char *path, mm_error *error) {
    char *next = out;
    while (size > 0) {
        ssize_t done = pread(fd, next, size, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return mm_trouble_errno(error, path, "read from it");
        if (done == 0) {
            return mm_trouble(error, "%s: ends at byte %llu, expected %zu bytes more; it was cut", path,
                              (unsigned long long)offset, size);
        }
        next += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return MM_OK;
}

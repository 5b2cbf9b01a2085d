#include "append.h"
#include <errno.h>
#include <fcntl.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static mm_status trouble(const append_file *file, const char *what, mm_error *error) {
    return mm_trouble_errno_then(error, file->path, what, "go on with --resume");
}

mm_status append_own(const char *path, int flags, int *fd, mm_error *error) {
    struct stat info;
    *fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    int number = errno;
    bool other = *fd < 0 ? !lstat(path, &info) && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)
                         : !fstat(*fd, &info) && !S_ISREG(info.st_mode);
    if (!other) {
        errno = number;
        return *fd >= 0 ? MM_OK : mm_trouble_errno(error, path, "open it for writing");
    }
    if (*fd >= 0) close(*fd);
    *fd = -1;
    errno = EINVAL;
    return mm_trouble(
        error,
        "%s: found %s, expected a file of the run's own; put the file itself in its place, or remove it",
        path, S_ISLNK(info.st_mode) ? "a link" : "a pipe or device");
}

mm_status append_check(const char *folder, const char *name, mm_error *error) {
    char path[PATH_MAX];
    int fd;
    mm_status status = mm_path_join(path, sizeof path, folder, name, error);
    if (status || !mm_is_there(path)) return status;
    status = append_own(path, O_WRONLY | O_APPEND, &fd, error);
    if (!status) close(fd);
    return status;
}

mm_status append_open(append_file *file, const char *path, mm_error *error) {
    file->fd = -1;
    if ((size_t)snprintf(file->path, sizeof file->path, "%s", path) >= sizeof file->path)
        return mm_trouble(error, "%s: the path is too long, expected less than %zu bytes", path,
                          sizeof file->path);
    mm_status status = append_own(path, O_WRONLY | O_CREAT | O_APPEND, &file->fd, error);
    return status && (errno == ENOSPC || errno == EDQUOT) ? trouble(file, "open it for writing", error)
                                                          : status;
}

mm_status append_add(append_file *file, const void *data, size_t size, mm_error *error) {
    off_t end = lseek(file->fd, 0, SEEK_END);
    if (end < 0) return trouble(file, "find its end", error);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(file->fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            mm_status status = trouble(file, "write to it", error);
            // What cannot be taken back is a cut line or member, which the next to go on drops.
            while (ftruncate(file->fd, end) < 0 && errno == EINTR) continue;
            return status;
        }
        done += (size_t)n;
    }
    return MM_OK;
}

mm_status append_cut(append_file *file, uint64_t size, mm_error *error) {
    while (ftruncate(file->fd, (off_t)size) < 0)
        if (errno != EINTR) return trouble(file, "cut it back", error);
    return MM_OK;
}

mm_status append_sync(append_file *file, mm_error *error) {
    return fsync(file->fd) ? trouble(file, "write it to the disk", error) : MM_OK;
}

void append_close(append_file *file) {
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
}

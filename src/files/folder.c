// Folders, paths and whole files: what publish.h offers beside publishing.
#include "io.h"
#include "tree.h"

#include <mm/files/publish.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool mm_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool mm_is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool mm_is_there(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

mm_status mm_find_file(const char *path, bool *there, mm_error *error) {
    struct stat info;
    bool found = stat(path, &info) == 0;
    *there = found && S_ISREG(info.st_mode);
    if (found || errno == ENOENT || errno == ENOTDIR) return MM_OK;
    return mm_trouble_errno(error, path, "look at the file");
}

mm_status mm_open_stream(const char *path, FILE **stream, mm_error *error) {
    int fd;
    uint64_t size;
    *stream = NULL;
    mm_status status = mm_io_open(path, &fd, &size, error);
    if (status) return status;
    *stream = fdopen(fd, "r");
    if (*stream) return MM_OK;
    status = mm_trouble_errno(error, path, "open the file");
    close(fd);
    return status;
}

mm_status mm_path_join(char *out, size_t size, const char *folder, const char *name, mm_error *error) {
    size_t length = strlen(folder);
    if (!length) return mm_trouble(error, "found an empty path for %s, expected a folder", name);
    const char *slash = folder[length - 1] == '/' ? "" : "/";
    int wanted = snprintf(out, size, "%s%s%s", folder, slash, name);
    if (wanted >= 0 && (size_t)wanted < size) return MM_OK;
    return mm_trouble(error, "%s/%s: the path is too long, expected less than %zu bytes", folder, name, size);
}

mm_status mm_sync_folder(const char *path, mm_error *error) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return mm_trouble_errno(error, path, "open the folder");
    mm_status status = MM_OK;
    // EINVAL: a file system that cannot fsync folders has no more to give.
    if (fsync(fd) < 0 && errno != EINVAL) status = mm_trouble_errno(error, path, "fsync the folder");
    close(fd);
    return status;
}

mm_status mm_make_folders(const char *path, mm_error *error) {
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        return mm_trouble(error, "%s: found a path of %zu bytes, expected 1 to %zu", path, length,
                          sizeof part - 1);
    }
    memcpy(part, path, length + 1);
    for (size_t end = 1; end <= length; end++) {
        if (part[end] != '/' && part[end] != '\0') continue;
        part[end] = '\0';
        if (!mm_is_folder(part) && mkdir(part, 0777) < 0 && !(errno == EEXIST && mm_is_folder(part))) {
            return mm_trouble_errno(error, part, "make the folder");
        }
        if (end < length) part[end] = '/';
    }
    return MM_OK;
}

mm_status mm_make_parent(const char *path, mm_error *error) {
    char folder[PATH_MAX];
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') end--;
    while (end > 0 && path[end - 1] != '/') end--;
    if (!end || end >= sizeof folder) return MM_OK;
    memcpy(folder, path, end);
    folder[end] = 0;
    return mm_make_folders(folder, error);
}

mm_status mm_remove_folder(const char *path, mm_error *error) {
    struct stat info;
    if (lstat(path, &info) < 0 && errno == ENOENT) return MM_OK;
    return mm_tree(path, MM_TREE_REMOVE, error);
}

mm_status mm_read_file(const char *path, size_t limit, char **data, size_t *size, mm_error *error) {
    *data = NULL;
    *size = 0;
    int fd;
    uint64_t bytes;
    mm_status status = mm_io_open(path, &fd, &bytes, error);
    if (status != MM_OK) return status;
    char *read = NULL;
    if (bytes > limit || bytes >= SIZE_MAX) {
        status = mm_trouble(error, "%s: found %llu bytes, expected at most %zu", path,
                            (unsigned long long)bytes, limit);
    } else if (!(read = malloc((size_t)bytes + 1))) {
        status = mm_trouble(error, "%s: out of memory for its %llu bytes", path, (unsigned long long)bytes);
    } else {
        status = mm_io_read_at(fd, read, (size_t)bytes, 0, path, error);
    }
    close(fd);
    if (status != MM_OK) {
        free(read);
        return status;
    }
    read[bytes] = '\0';
    *data = read;
    *size = (size_t)bytes;
    return MM_OK;
}

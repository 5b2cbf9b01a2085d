#include "tree.h"
#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static mm_status tree_trouble(mm_error *error, const char *top, const char *name, mm_tree_work work) {
    const char *verb = work == MM_TREE_SYNC ? "fsync" : "remove";
    // `name` is the whole path at the top and one entry's name below it.
    if (strcmp(top, name) == 0) return mm_trouble_errno(error, top, verb);
    char what[NAME_MAX + 20];
    snprintf(what, sizeof what, "%s its %s", verb, name);
    return mm_trouble_errno(error, top, what);
}

static bool work_on_file(int folder, const char *name, mode_t mode, mm_tree_work work) {
    if (work == MM_TREE_REMOVE) return unlinkat(folder, name, 0) == 0;
    if (!S_ISREG(mode)) return true;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = fsync(fd) == 0;
    int number = errno;
    close(fd);
    errno = number;
    return good;
}

enum { DEPTH_MOST = 64 }; // each takes a descriptor and some stack; mm's own folders have a few

typedef struct walk {
    mm_tree_work work;
    const char *top;
    int depth;
} walk;

static mm_status work_on_folder(int parent, const char *name, const walk *above, mm_error *error);

static mm_status work_on_entry(int folder, const char *name, const walk *at, mm_error *error) {
    mm_tree_work work = at->work;
    const char *top = at->top;
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) < 0) return tree_trouble(error, top, name, work);
    if (S_ISDIR(info.st_mode)) return work_on_folder(folder, name, at, error);
    return work_on_file(folder, name, info.st_mode, work) ? MM_OK : tree_trouble(error, top, name, work);
}

static mm_status work_on_folder(int parent, const char *name, const walk *above, mm_error *error) {
    const walk at = {above->work, above->top, above->depth + 1};
    mm_tree_work work = at.work;
    const char *top = at.top;
    if (at.depth > DEPTH_MOST)
        return mm_trouble(error, "%s: found folders in folders, more than %d deep, expected none of mm's",
                          top, DEPTH_MOST);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return tree_trouble(error, top, name, work);
    DIR *entries = fdopendir(fd);
    if (!entries) {
        mm_status trouble = tree_trouble(error, top, name, work);
        close(fd);
        return trouble;
    }
    mm_status status = MM_OK;
    while (status == MM_OK) {
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (!entry && errno != 0) status = tree_trouble(error, top, name, work);
        if (!entry) break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        status = work_on_entry(fd, entry->d_name, &at, error);
    }
    // EINVAL: a file system that cannot fsync folders has no more to give.
    if (status == MM_OK && work == MM_TREE_SYNC && fsync(fd) < 0 && errno != EINVAL) {
        status = tree_trouble(error, top, name, work);
    }
    closedir(entries);
    if (status == MM_OK && work == MM_TREE_REMOVE && unlinkat(parent, name, AT_REMOVEDIR) < 0) {
        status = tree_trouble(error, top, name, work);
    }
    return status;
}

mm_status mm_tree(const char *path, mm_tree_work work, mm_error *error) {
    return work_on_folder(AT_FDCWD, path, &(walk){work, path, 0}, error);
}

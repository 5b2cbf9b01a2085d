#include "io.h"
#include "tree.h"

#include <mm/files/publish.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// A path in two: the folder ("." if none is named) and the last name, without slashes at the end.
typedef struct place {
    char folder[PATH_MAX];
    char name[NAME_MAX + 1];
} place;

static mm_status place_of(const char *path, place *at, mm_error *error) {
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') start--;
    if (end - start > NAME_MAX || start >= PATH_MAX) {
        return mm_trouble(error, "%s: the path is too long, expected names of at most %d bytes", path,
                          NAME_MAX);
    }
    memcpy(at->name, path + start, end - start);
    at->name[end - start] = '\0';
    if (end == start || strcmp(at->name, ".") == 0 || strcmp(at->name, "..") == 0) {
        return mm_trouble(error, "%s: found no name at the end of the path, expected one to write to",
                          *path ? path : "\"\"");
    }
    while (start > 1 && path[start - 1] == '/') start--;
    memcpy(at->folder, start > 0 ? path : ".", start > 0 ? start : 1);
    at->folder[start > 0 ? start : 1] = '\0';
    return MM_OK;
}

typedef enum temporary_kind { TEMPORARY_FILE, TEMPORARY_FOLDER, TEMPORARY_LINK } temporary_kind;

// Fails with EEXIST if something of that name is there. *fd is a file's.
static int make_named(temporary_kind kind, const char *path, const char *target, int *fd) {
    if (kind == TEMPORARY_FOLDER) return mkdir(path, 0777);
    if (kind == TEMPORARY_LINK) return symlink(target, path);
    *fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return *fd < 0 ? -1 : 0;
}

enum { NAME_KEPT = 200 }; // bytes of a name in that of its temporary

// Makes ".NAME.tmp-PID-COUNT" beside the place. Names of other processes, hosts on a shared disk, and what a
// killed process left are passed over, since making one never replaces anything.
static mm_status make_temporary(const place *at, temporary_kind kind, const char *target, char out[PATH_MAX],
                                int *fd, mm_error *error) {
    static atomic_uint counter;
    enum { ATTEMPTS = 10000 };
    for (int i = 0; i < ATTEMPTS; i++) {
        char name[NAME_MAX + 1];
        snprintf(name, sizeof name, ".%.*s.tmp-%ld-%u", NAME_KEPT, at->name, (long)getpid(),
                 atomic_fetch_add(&counter, 1));
        mm_status status = mm_path_join(out, PATH_MAX, at->folder, name, error);
        if (status != MM_OK) return status;
        if (make_named(kind, out, target, fd) == 0) return MM_OK;
        if (errno != EEXIST) break;
    }
    // Nobody knows the temporary's name.
    int number = errno;
    mm_status status = mm_path_join(out, PATH_MAX, at->folder, at->name, error);
    errno = number;
    return status == MM_OK ? mm_trouble_errno(error, out, "create it") : status;
}

mm_status mm_publish_file(const char *path, const void *data, size_t size, mm_error *error) {
    place at;
    char temporary[PATH_MAX];
    int fd = -1;
    mm_status status = place_of(path, &at, error);
    if (status == MM_OK) status = make_temporary(&at, TEMPORARY_FILE, NULL, temporary, &fd, error);
    if (status != MM_OK) return status;

    status = mm_io_write(fd, data, size, path, error);
    if (status == MM_OK) {
        status = mm_io_finish(fd, path, error);
    } else {
        close(fd);
    }
    if (status == MM_OK && rename(temporary, path) < 0) {
        status = mm_trouble_errno(error, path, "put the new file in its place");
    }
    if (status != MM_OK) {
        unlink(temporary);
        return status;
    }
    return mm_sync_folder(at.folder, error);
}

mm_status mm_hide(const char *path, char *out, size_t size, mm_error *error) {
    place at;
    char temporary[PATH_MAX];
    mm_status status = place_of(path, &at, error);
    if (status == MM_OK) status = make_temporary(&at, TEMPORARY_FOLDER, NULL, temporary, NULL, error);
    if (status != MM_OK) return status;
    if (rename(path, temporary) < 0) { // onto the empty folder
        status = mm_trouble_errno(error, path, "rename it before it is removed");
        rmdir(temporary);
        return status;
    }
    status = mm_sync_folder(at.folder, error);
    if (status == MM_OK && (size_t)snprintf(out, size, "%s", temporary) >= size)
        status = mm_trouble(error, "%s: the path is too long, expected less than %zu bytes", temporary, size);
    return status;
}

bool mm_is_temporary(const char *name) {
    const char *mark = NULL;
    for (const char *next = name; (next = strstr(next, ".tmp-")); next++) mark = next;
    if (*name != '.' || !mark) return false;
    const char *rest = mark + strlen(".tmp-");
    size_t pid = strspn(rest, "0123456789");
    size_t count = rest[pid] == '-' ? strspn(rest + pid + 1, "0123456789") : 0;
    return pid && count && !rest[pid + 1 + count];
}

mm_status mm_remove_temporaries(const char *folder, mm_error *error) {
    DIR *entries = opendir(folder);
    if (!entries) return errno == ENOENT ? MM_OK : mm_trouble_errno(error, folder, "open the folder");
    mm_status status = MM_OK;
    for (const struct dirent *entry; status == MM_OK && (entry = readdir(entries));) {
        char path[PATH_MAX];
        struct stat info;
        if (!mm_is_temporary(entry->d_name)) continue;
        status = mm_path_join(path, sizeof path, folder, entry->d_name, error);
        if (status != MM_OK || lstat(path, &info) < 0) continue;
        if (S_ISDIR(info.st_mode)) {
            status = mm_remove_folder(path, error);
        } else if (unlink(path) < 0 && errno != ENOENT) {
            status = mm_trouble_errno(error, path, "remove what a killed process left");
        }
    }
    closedir(entries);
    return status;
}

mm_status mm_publish_link(const char *path, const char *target, mm_error *error) {
    place at;
    char temporary[PATH_MAX];
    mm_status status = place_of(path, &at, error);
    if (status == MM_OK) status = make_temporary(&at, TEMPORARY_LINK, target, temporary, NULL, error);
    if (status != MM_OK) return status;
    if (rename(temporary, path) < 0) {
        status = mm_trouble_errno(error, path, "put the new link in its place");
        unlink(temporary);
        return status;
    }
    return mm_sync_folder(at.folder, error);
}

struct mm_draft {
    place at;
    char path[PATH_MAX];      // where it will be
    char temporary[PATH_MAX]; // where it is
    int lock;                 // its folder, locked; -1: not
};

static mm_status taken(const char *path, mm_error *error) {
    return mm_trouble(error, "%s: already there, expected a new path; choose another, or move this one away",
                      path);
}

// Another process number on a shared disk may be of another host, so who makes a draft that may be swept away
// keeps it locked.
static int lock_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    close(fd);
    return -1;
}

// Is it a temporary of the place, of a process that is gone? A process has the number of one that was killed
// before it as easily as in a container, where numbers are few; its own drafts are locked.
static bool is_abandoned(const place *at, const char *temporary) {
    char start[NAME_MAX + 1];
    size_t length = (size_t)snprintf(start, sizeof start, ".%.*s.tmp-", NAME_KEPT, at->name);
    if (strncmp(temporary, start, length) || !mm_is_temporary(temporary)) return false;
    char *end;
    errno = 0;
    long pid = strtol(temporary + length, &end, 10);
    if (errno || pid < 1 || pid > INT_MAX || *end != '-') return false;
    return pid == getpid() || (kill((pid_t)pid, 0) < 0 && errno == ESRCH);
}

static void sweep(const place *at) {
    DIR *entries = opendir(at->folder);
    if (!entries) return;
    for (const struct dirent *entry; (entry = readdir(entries));) {
        char path[PATH_MAX];
        if (!is_abandoned(at, entry->d_name)) continue;
        if (mm_path_join(path, sizeof path, at->folder, entry->d_name, NULL) != MM_OK) continue;
        int lock = lock_folder(path);
        if (lock < 0) continue;
        // What cannot be removed stays as it was.
        mm_status removed = mm_tree(path, MM_TREE_REMOVE, NULL);
        (void)removed;
        close(lock);
    }
    closedir(entries);
}

mm_status mm_draft_begin_swept(const char *path, mm_draft **draft, mm_error *error) {
    mm_status status = mm_draft_begin(path, draft, error);
    if (status != MM_OK) return status;
    (*draft)->lock = lock_folder((*draft)->temporary);
    if ((*draft)->lock >= 0) sweep(&(*draft)->at);
    return MM_OK;
}

static void forget(mm_draft *draft) {
    if (draft->lock >= 0) close(draft->lock);
    free(draft);
}

mm_status mm_draft_begin(const char *path, mm_draft **draft, mm_error *error) {
    *draft = NULL;
    mm_draft *made = malloc(sizeof *made);
    if (!made) return mm_trouble(error, "%s: out of memory for its draft", path);
    made->lock = -1;
    mm_status status = place_of(path, &made->at, error);
    if (status == MM_OK) status = mm_path_join(made->path, PATH_MAX, made->at.folder, made->at.name, error);
    if (status == MM_OK && mm_is_there(made->path)) status = taken(path, error);
    if (status == MM_OK) {
        status = make_temporary(&made->at, TEMPORARY_FOLDER, NULL, made->temporary, NULL, error);
    }
    if (status != MM_OK) {
        free(made);
        return status;
    }
    *draft = made;
    return MM_OK;
}

const char *mm_draft_path(const mm_draft *draft) {
    return draft->temporary;
}

// Renames without ever replacing. File systems that cannot promise it (EINVAL) are asked first instead.
static mm_status rename_to_new(const char *from, const char *to, mm_error *error) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return MM_OK;
    if (errno == EINVAL || errno == ENOSYS) {
        if (mm_is_there(to)) return taken(to, error);
        if (rename(from, to) == 0) return MM_OK;
    }
    if (errno == EEXIST) return taken(to, error);
    return mm_trouble_errno(error, to, "put it in its place");
}

mm_status mm_draft_commit(mm_draft *draft, mm_error *error) {
    mm_status status = mm_tree(draft->temporary, MM_TREE_SYNC, error);
    if (status == MM_OK) status = rename_to_new(draft->temporary, draft->path, error);
    if (status != MM_OK) {
        mm_draft_abandon(draft);
        return status;
    }
    status = mm_sync_folder(draft->at.folder, error);
    if (status != MM_OK) {
        // A power cut could lose it now, so it must not look published.
        mm_status removed = mm_tree(draft->path, MM_TREE_REMOVE, NULL);
        (void)removed;
    }
    forget(draft);
    return status;
}

mm_status mm_draft_commit_file(mm_draft *draft, const char *name, mm_error *error) {
    char file[PATH_MAX];
    mm_status status = mm_path_join(file, sizeof file, draft->temporary, name, error);
    if (status == MM_OK) status = rename_to_new(file, draft->path, error);
    if (status == MM_OK) {
        status = mm_sync_folder(draft->at.folder, error);
        if (status != MM_OK) unlink(draft->path); // as above
    }
    mm_draft_abandon(draft);
    return status;
}

void mm_draft_abandon(mm_draft *draft) {
    if (!draft) return;
    // What cannot be removed keeps its temporary name, which nothing reads.
    mm_status removed = mm_tree(draft->temporary, MM_TREE_REMOVE, NULL);
    (void)removed;
    forget(draft);
}

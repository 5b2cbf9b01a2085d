// run.json and the run's folder.
#include "append.h"
#include "run_json.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mm/files/publish.h>
#include <mm/record/checkpoint.h>
#include <mm/record/run.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// In the lock of a run into which text is packed, and where that goes.
static const char packing[] = "text is packed into this run\n";
static const char *const packed_names[] = {"data", "val-data", NULL};
enum { RUN_JSON_LIMIT = 1 << 28, RUNS_MOST = 999999 };

struct mm_run {
    char path[PATH_MAX];
    int lock;
};

// --- facts

static void free_data(mm_run_data *data) {
    free(data->path);
}

void mm_run_facts_free(mm_run_facts *f) {
    for (int i = 0; i < f->argc; i++) free(f->argv[i]);
    for (int i = 0; i < f->initial_count; i++) free(f->initial[i].name);
    for (int i = 0; i < f->continued_count; i++) mm_run_program_free(&f->continued[i].program);
    mm_run_program_free(&f->program);
    free(f->continued);
    free(f->model_config);
    free(f->argv);
    free(f->streams);
    free(f->initial);
    free_data(&f->data);
    free_data(&f->val_data);
    mm_settings_free(&f->settings);
    *f = (mm_run_facts){0};
}

mm_status mm_run_read(const char *path, mm_run_facts *facts, mm_error *error) {
    *facts = (mm_run_facts){0};
    char file[PATH_MAX];
    mm_status status = mm_path_join(file, sizeof file, path, "run.json", error);
    if (status) return status;
    if (!mm_is_folder(path)) return mm_trouble(error, "%s: no such folder; expected a run directory", path);
    char *text;
    size_t size;
    status = mm_read_file(file, RUN_JSON_LIMIT, &text, &size, error);
    if (status) return status;
    status = run_json_read(text, size, file, facts, error);
    free(text);
    if (status) mm_run_facts_free(facts);
    return status;
}

// --- the folder

static mm_status take_lock(mm_run *run, mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, run->path, "lock", error);
    if (status) return status;
    status = append_own(path, O_RDWR | O_CREAT, &run->lock, error);
    if (status) return status;
    if (flock(run->lock, LOCK_EX | LOCK_NB) == 0) return MM_OK;
    if (errno != EWOULDBLOCK) return mm_trouble_errno(error, path, "lock it");
    return mm_trouble(error, "%s: another process is training this run; wait for it to end, or stop it",
                      run->path);
}

static mm_status open_folder(const char *path, mm_run **out, mm_error *error) {
    mm_run *run = *out = calloc(1, sizeof *run);
    if (!run) return mm_trouble(error, "%s: out of memory", path);
    run->lock = -1;
    mm_status status =
        realpath(path, run->path) ? take_lock(run, error) : mm_trouble_errno(error, path, "open it");
    if (!status) status = mm_remove_temporaries(run->path, error); // of a process that was killed
    if (!status) return MM_OK;
    mm_run_close(run);
    *out = NULL;
    return status;
}

mm_status mm_run_open(const char *path, mm_run **run, mm_error *error) {
    char file[PATH_MAX];
    *run = NULL;
    mm_status status = mm_path_join(file, sizeof file, path, "run.json", error);
    bool there = false;
    if (!status) status = mm_find_file(file, &there, error);
    if (status) return status;
    // Before the lock: nothing is put into a folder that is no run.
    if (!there) return mm_trouble(error, "%s: not there; expected the run.json of a run directory", file);
    return open_folder(path, run, error);
}

static mm_status check_folder(const char *path, mm_error *error) {
    struct stat info;
    if (lstat(path, &info)) return mm_trouble_errno(error, path, "look at it");
    // Checkpoints are written and removed there, and what a link leads to may be another run's.
    if (!S_ISDIR(info.st_mode))
        return mm_trouble(
            error,
            "%s: found %s, expected a folder of the run's own; to keep it on another disk, move "
            "the whole run",
            path, S_ISLNK(info.st_mode) ? "a link" : "no folder");
    if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0) return MM_OK;
    return mm_trouble_errno(error, path, "write into it");
}

mm_status mm_run_check(const mm_run *run, mm_error *error) {
    char path[PATH_MAX];
    struct stat info;
    mm_status status = check_folder(run->path, error);
    if (!status) status = mm_path_join(path, sizeof path, run->path, MM_CHECKPOINTS, error);
    if (!status && mm_is_there(path)) status = check_folder(path, error);
    if (!status) status = mm_path_join(path, sizeof path, run->path, "model", error);
    if (status || lstat(path, &info) || S_ISLNK(info.st_mode)) return status;
    return mm_trouble(
        error,
        "%s: found no link, as a copy that follows links leaves it; remove it, --resume makes the "
        "link again",
        path);
}

void mm_run_close(mm_run *run) {
    if (!run) return;
    if (run->lock >= 0) close(run->lock);
    free(run);
}

const char *mm_run_path(const mm_run *run) {
    return run->path;
}

// The largest number of a run in the folder, so that a later run never has a smaller one; 0: there is none.
static int last_number(DIR *folder) {
    int last = 0;
    for (struct dirent *e; (e = readdir(folder));) {
        char *end;
        long number = strtol(e->d_name, &end, 10);
        if (isdigit((unsigned char)e->d_name[0]) && !*end && number > last && number <= RUNS_MOST)
            last = (int)number;
    }
    return last;
}

static mm_status next_number(char *out, size_t size, mm_error *error) {
    mm_status status = mm_make_folders("runs", error);
    DIR *runs = status ? NULL : opendir("runs");
    if (!status && !runs) return mm_trouble_errno(error, "runs", "look for the next number in it");
    const int last = runs ? last_number(runs) : 0;
    if (runs) closedir(runs);
    for (int number = last + 1; !status && number <= RUNS_MOST; number++) {
        snprintf(out, size, "runs/%04d", number);
        if (mkdir(out, 0777) == 0) return mm_sync_folder("runs", error);
        if (errno != EEXIST) return mm_trouble_errno(error, out, "make it");
    }
    return status
               ? status
               : mm_trouble(error,
                            "runs: number %d is taken, and there is none after it; name the run with --out",
                            RUNS_MOST);
}

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

static bool was_packing(const char *path) {
    char lock[PATH_MAX], *text;
    size_t size;
    if (mm_path_join(lock, sizeof lock, path, "lock", NULL) || !mm_is_file(lock)) return false;
    if (mm_read_file(lock, sizeof packing, &text, &size, NULL)) return false;
    bool same = strcmp(text, packing) == 0;
    free(text);
    return same;
}

// What a reserved run may hold before its run.json: the lock, what a killed process left, and, where the lock
// says that text was packed, that. A folder of another's that has such a name stays.
static bool may_be_there(const char *name, bool packed) {
    static const char *const always[] = {".", "..", "lock", NULL};
    return is_one_of(name, always) || (packed && is_one_of(name, packed_names)) || mm_is_temporary(name);
}

static mm_status check_unused(const char *path, mm_error *error) {
    DIR *folder = opendir(path);
    if (!folder) return mm_trouble_errno(error, path, "open it as the run's folder");
    mm_status status = MM_OK;
    const bool packed = was_packing(path);
    char run_json[PATH_MAX];
    const bool is_run =
        !mm_path_join(run_json, sizeof run_json, path, "run.json", NULL) && mm_is_file(run_json);
    for (struct dirent *e; !status && (e = readdir(folder));)
        if (!may_be_there(e->d_name, packed))
            status =
                mm_trouble(error, "%s: exists and holds %s; nothing is overwritten: %sname another --out",
                           path, e->d_name, is_run ? "go on with it by --resume, or " : "");
    closedir(folder);
    return status;
}

// The path of the run goes to `out`.
static mm_status reserve(const char *path, char *out, size_t size, mm_error *error) {
    if (!path) return next_number(out, size, error);
    if ((size_t)snprintf(out, size, "%s", path) >= size)
        return mm_trouble(error, "%.200s...: the path is longer than %zu bytes; give a shorter one", path,
                          size);
    if (mm_is_folder(path)) return check_unused(path, error);
    char parent[PATH_MAX];
    mm_status status = mm_make_folders(path, error);
    if (!status) status = mm_path_join(parent, sizeof parent, path, "..", error);
    return status ? status : mm_sync_folder(parent, error);
}

mm_status mm_run_hold(const char *path, mm_run **out, mm_error *error) {
    char folder[PATH_MAX];
    *out = NULL;
    mm_status status = reserve(path, folder, sizeof folder, error);
    if (!status) status = open_folder(folder, out, error);
    if (status) return status;
    status = check_unused(folder, error); // again, now that nobody else can be at it
    if (!status) return MM_OK;
    mm_run_close(*out);
    *out = NULL;
    return status;
}

mm_status mm_run_packing(mm_run *run, mm_error *error) {
    const ssize_t size = sizeof packing - 1;
    if (!ftruncate(run->lock, 0) && pwrite(run->lock, packing, (size_t)size, 0) == size && !fsync(run->lock))
        return MM_OK;
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, run->path, "lock", error);
    return status ? status : mm_trouble_errno(error, path, "write to it");
}

mm_status mm_run_unpack(mm_run *run, mm_error *error) {
    char path[PATH_MAX];
    mm_status status = MM_OK;
    if (!was_packing(run->path)) return MM_OK;
    for (int i = 0; !status && packed_names[i]; i++) {
        status = mm_path_join(path, sizeof path, run->path, packed_names[i], error);
        if (!status) status = mm_remove_folder(path, error);
    }
    // Last, so that a kill before it leaves what says whose they are.
    if (!status && (ftruncate(run->lock, 0) || fsync(run->lock))) {
        status = mm_path_join(path, sizeof path, run->path, "lock", error);
        if (!status) status = mm_trouble_errno(error, path, "write to it");
    }
    return status;
}

bool mm_run_packed(const mm_run *run, const char *data) {
    char path[PATH_MAX];
    for (int i = 0; packed_names[i]; i++)
        if (!mm_path_join(path, sizeof path, run->path, packed_names[i], NULL) && strcmp(path, data) == 0)
            return true;
    return false;
}

mm_status mm_run_find_data(const char *run_path, const mm_settings *recorded, bool val, char *out,
                           size_t size, mm_error *error) {
    const char *path = val ? recorded->val_data : recorded->data, *name = packed_names[val];
    char packed[PATH_MAX];
    bool own = recorded->out && !mm_path_join(packed, sizeof packed, recorded->out, name, NULL) &&
               strcmp(packed, path) == 0;
    mm_status status = own ? mm_path_join(out, size, run_path, name, error) : MM_OK;
    if (status || (own && mm_is_folder(out))) return status;
    if ((size_t)snprintf(out, size, "%s", path) < size) return MM_OK;
    return mm_trouble(error, "%.200s...: the path is longer than %zu bytes; give a shorter one", path, size);
}

mm_status mm_run_begin(mm_run *run, const mm_run_facts *facts, mm_error *error) {
    char file[PATH_MAX];
    mm_text text = {0};
    mm_status status = run_json_write(facts, &text, error);
    if (!status) status = mm_path_join(file, sizeof file, run->path, "run.json", error);
    if (!status) status = mm_publish_file(file, text.data, text.size, error);
    mm_text_free(&text);
    return status;
}

// Atomic writing: whole or not at all, the old kept until then, nothing left behind.
#include <mm/files/publish.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[PATH_MAX];

// fsync and renameat2 as the library sees them: each fsync is noted, one may fail, and renameat2 may be
// unknown.
static struct {
    ino_t synced[100];
    int syncs, failing; // `failing`: number of the fsync that fails, from 1
    bool no_renameat2;
    const char *hidden; // must not be there yet at any fsync but the last
    int early;
} world;

int fsync(int fd) {
    struct stat info;
    if (fstat(fd, &info) == 0 && world.syncs < 100) world.synced[world.syncs] = info.st_ino;
    if (++world.syncs == world.failing) {
        errno = EIO;
        return -1;
    }
    if (world.hidden && lstat(world.hidden, &info) != 0) world.early++;
    return (int)syscall(SYS_fsync, fd);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    if (world.no_renameat2) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

static const char *in_root(const char *name) {
    static char paths[4][PATH_MAX];
    static int next;
    char *path = paths[next++ % 4];
    assert_int_equal(mm_path_join(path, PATH_MAX, root, name, NULL), MM_OK);
    return path;
}

static int set_up(void **state) {
    (void)state;
    memset(&world, 0, sizeof world);
    const char *base = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/mm-publish-XXXXXX", base ? base : "/tmp");
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    return mm_remove_folder(root, NULL) == MM_OK ? 0 : -1;
}

static void assert_holds(const char *path, const char *text) {
    char *data;
    size_t size;
    mm_error error;
    if (mm_read_file(path, 1000, &data, &size, &error) != MM_OK) fail_msg("%s", error.text);
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text);
    free(data);
}

static int entries_of(const char *path) {
    int count = 0;
    DIR *entries = opendir(path);
    assert_non_null(entries);
    while (readdir(entries)) count++;
    closedir(entries);
    return count - 2;
}

// Trouble whose one line names `path` and says `word`.
static void assert_trouble(mm_status status, const mm_error *error, const char *path, const char *word) {
    assert_int_equal(status, MM_TROUBLE);
    if (!strstr(error->text, path) || !strstr(error->text, word) || strchr(error->text, '\n')) {
        fail_msg("\"%s\" does not name %s with %s", error->text, path, word);
    }
}

static void file_replaces_whole(void **state) {
    (void)state;
    mm_error error;
    const char *path = in_root("a.json");
    umask(027);
    assert_int_equal(mm_publish_file(path, "one", 3, &error), MM_OK);
    assert_holds(path, "one");
    assert_int_equal(mm_publish_file(path, "", 0, &error), MM_OK);
    assert_holds(path, "");
    assert_int_equal(mm_publish_file(path, "three", 5, &error), MM_OK);
    assert_holds(path, "three");
    assert_int_equal(entries_of(root), 1);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640); // as the umask says, not a temporary's 0600
}

static void name_of_the_longest_kind(void **state) {
    (void)state;
    char name[NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[NAME_MAX] = '\0';
    mm_error error;
    if (mm_publish_file(in_root(name), "x", 1, &error) != MM_OK) fail_msg("%s", error.text);
    assert_holds(in_root(name), "x");
    name[NAME_MAX] = 'n';
    name[NAME_MAX + 1] = '\0';
    assert_trouble(mm_publish_file(in_root(name), "x", 1, &error), &error, root, "too long");
}

static void failed_write_keeps_the_old(void **state) {
    (void)state;
    mm_error error;
    const char *path = in_root("kept");
    static char big[1 << 16];
    assert_int_equal(mm_publish_file(path, "old", 3, &error), MM_OK);
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    mm_status status = mm_publish_file(path, big, sizeof big, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_trouble(status, &error, path, strerror(EFBIG));
    assert_holds(path, "old");
    assert_int_equal(entries_of(root), 1);
}

static void bad_places_are_named(void **state) {
    (void)state;
    mm_error error;
    const char *path = in_root("none/file");
    assert_trouble(mm_publish_file(path, "x", 1, &error), &error, "none", strerror(ENOENT));
    assert_int_equal(mkdir(in_root("folder"), 0777), 0);
    path = in_root("folder");
    assert_trouble(mm_publish_file(path, "x", 1, &error), &error, path, strerror(EISDIR));
    assert_trouble(mm_publish_file("", "x", 1, &error), &error, "", "expected");
    static const char *const nameless[] = {"folder/.", "folder/.."};
    for (int i = 0; i < 2; i++) {
        path = in_root(nameless[i]);
        assert_trouble(mm_publish_file(path, "x", 1, &error), &error, path, "no name");
    }
    assert_int_equal(entries_of(root), 1);
}

static void write_into(const char *folder, const char *name, const char *text) {
    char path[PATH_MAX];
    assert_int_equal(mm_path_join(path, sizeof path, folder, name, NULL), MM_OK);
    assert_int_equal(mm_publish_file(path, text, strlen(text), NULL), MM_OK);
}

static void draft_appears_at_once(void **state) {
    (void)state;
    mm_error error;
    mm_draft *draft;
    assert_int_equal(mm_draft_begin(in_root("set///"), &draft, &error),
                     MM_OK); // slashes at the end are nothing
    assert_false(mm_is_folder(in_root("set")));
    char val[PATH_MAX];
    assert_int_equal(mm_path_join(val, sizeof val, mm_draft_path(draft), "val", NULL), MM_OK);
    assert_int_equal(mm_make_folders(val, NULL), MM_OK);
    write_into(val, "b", "2");
    write_into(mm_draft_path(draft), "a", "1");
    assert_int_equal(symlink("a", strcat(val, "/link")), 0);
    if (mm_draft_commit(draft, &error) != MM_OK) fail_msg("%s", error.text);
    assert_holds(in_root("set/a"), "1");
    assert_holds(in_root("set/val/b"), "2");
    assert_int_equal(entries_of(root), 1);
}

static void draft_never_replaces(void **state) {
    (void)state;
    mm_error error;
    mm_draft *first, *second;
    const char *path = in_root("set");
    // Two writers at once: the second to commit loses, even against an empty folder.
    assert_int_equal(mm_draft_begin(path, &first, &error), MM_OK);
    assert_int_equal(mm_draft_begin(path, &second, &error), MM_OK);
    write_into(mm_draft_path(second), "a", "1");
    assert_int_equal(mm_draft_commit(first, &error), MM_OK);
    assert_trouble(mm_draft_commit(second, &error), &error, path, "already there");
    assert_int_equal(entries_of(path), 0);
    assert_int_equal(entries_of(root), 1);
    assert_trouble(mm_draft_begin(path, &second, &error), &error, path, "already there");
    assert_int_equal(entries_of(root), 1);
}

static void draft_never_replaces_where_renameat2_is_unknown(void **state) {
    world.no_renameat2 = true;
    draft_never_replaces(state);
}

static bool was_synced(const char *path) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    for (int i = 0; i < world.syncs; i++) {
        if (world.synced[i] == info.st_ino) return true;
    }
    return false;
}

// A set of two files and a folder, committed with fsync number `failing` broken.
static mm_status commit_set(int failing, mm_error *error) {
    mm_draft *draft;
    char val[PATH_MAX];
    assert_int_equal(mm_draft_begin(in_root("set"), &draft, error), MM_OK);
    assert_int_equal(mm_path_join(val, sizeof val, mm_draft_path(draft), "val", NULL), MM_OK);
    assert_int_equal(mm_make_folders(val, NULL), MM_OK);
    write_into(val, "b", "2");
    write_into(mm_draft_path(draft), "a", "1");
    world.syncs = 0;
    world.failing = failing;
    world.hidden = in_root("set");
    mm_status status = mm_draft_commit(draft, error);
    world.hidden = NULL;
    world.failing = 0;
    return status;
}

// Two files, two folders and the folder above, the last only after the rename.
static void draft_is_on_disk_before_it_appears(void **state) {
    (void)state;
    mm_error error;
    assert_int_equal(commit_set(0, &error), MM_OK);
    assert_int_equal(world.syncs, 5);
    assert_int_equal(world.early, 4);
    assert_true(was_synced(in_root("set/a")) && was_synced(in_root("set/val/b")));
    assert_true(was_synced(in_root("set")) && was_synced(in_root("set/val")) && was_synced(root));
    for (int failing = 1; failing <= 5; failing++) {
        assert_int_equal(mm_remove_folder(in_root("set"), NULL), MM_OK);
        assert_trouble(commit_set(failing, &error), &error, root, strerror(EIO));
        assert_int_equal(entries_of(root), 0);
    }
}

static void file_is_on_disk_before_it_appears(void **state) {
    (void)state;
    mm_error error;
    const char *path = in_root("file");
    world.hidden = path;
    assert_int_equal(mm_publish_file(path, "old", 3, &error), MM_OK);
    assert_int_equal(world.syncs, 2);
    assert_int_equal(world.early, 1);
    assert_true(was_synced(path) && was_synced(root));
    world.syncs = 0;
    world.failing = 1;
    assert_trouble(mm_publish_file(path, "new", 3, &error), &error, path, strerror(EIO));
    assert_holds(path, "old");
    assert_int_equal(entries_of(root), 1);
}

static void abandoned_draft_leaves_nothing(void **state) {
    (void)state;
    mm_error error;
    mm_draft *draft;
    assert_int_equal(mm_draft_begin(in_root("set"), &draft, &error), MM_OK);
    write_into(mm_draft_path(draft), "a", "1");
    mm_draft_abandon(draft);
    assert_int_equal(entries_of(root), 0);
    const char *path = in_root("none/set");
    assert_trouble(mm_draft_begin(path, &draft, &error), &error, "none", strerror(ENOENT));
}

// The draft's one file takes the path, after its folder's fsync or not at all, and replaces nothing.
static void a_file_of_a_draft_appears_alone(void **state) {
    (void)state;
    mm_error error;
    mm_draft *draft, *late;
    const char *path = in_root("file");
    for (int failing = 1; failing >= 0; failing--) {
        assert_int_equal(mm_draft_begin(path, &draft, &error), MM_OK);
        assert_int_equal(mm_draft_begin(path, &late, &error), MM_OK);
        write_into(mm_draft_path(draft), "new", "1");
        write_into(mm_draft_path(draft), "rest", "2");
        world.syncs = 0;
        world.failing = failing;
        mm_status status = mm_draft_commit_file(draft, "new", &error);
        world.failing = 0;
        assert_int_equal(status, failing ? MM_TROUBLE : MM_OK);
        assert_true(was_synced(root));
        assert_int_equal(mm_is_file(path), !failing);
        write_into(mm_draft_path(late), "new", "3");
        if (failing) mm_draft_abandon(late);
    }
    assert_trouble(mm_draft_commit_file(late, "new", &error), &error, path, "already there");
    assert_holds(path, "1");
    assert_int_equal(entries_of(root), 1);
    assert_int_equal(mm_draft_begin(in_root("other"), &draft, &error), MM_OK);
    assert_trouble(mm_draft_commit_file(draft, "none", &error), &error, "other", strerror(ENOENT));
    assert_int_equal(entries_of(root), 1);
}

static void link_moves_over(void **state) {
    (void)state;
    mm_error error;
    char target[100];
    const char *path = in_root("model");
    assert_int_equal(mm_publish_link(path, "step-1", &error), MM_OK);
    assert_int_equal(mm_publish_link(path, "step-22", &error), MM_OK);
    ssize_t size = readlink(path, target, sizeof target);
    assert_int_equal(size, 7);
    assert_memory_equal(target, "step-22", 7);
    assert_int_equal(entries_of(root), 1);
}

static void folders_are_made_and_removed(void **state) {
    (void)state;
    mm_error error;
    assert_int_equal(mm_make_folders(in_root("a//b/c/"), &error), MM_OK);
    assert_int_equal(mm_make_folders(in_root("a/b/c"), &error), MM_OK);
    assert_true(mm_is_folder(in_root("a/b/c")));
    write_into(in_root("a"), "file", "x");
    assert_true(mm_is_file(in_root("a/file")));
    const char *path = in_root("a/file/d");
    assert_trouble(mm_make_folders(path, &error), &error, "a/file", strerror(EEXIST));
    // What a link leads to is not in the folder.
    assert_int_equal(mkdir(in_root("outside"), 0777), 0);
    write_into(in_root("outside"), "file", "x");
    assert_int_equal(symlink("../outside", in_root("a/link")), 0);
    assert_int_equal(mm_remove_folder(in_root("a"), &error), MM_OK);
    assert_holds(in_root("outside/file"), "x");
    assert_int_equal(entries_of(root), 1);
    assert_int_equal(mm_remove_folder(in_root("a"), &error), MM_OK);
    path = in_root("outside/file");
    assert_trouble(mm_remove_folder(path, &error), &error, path, strerror(ENOTDIR));
}

// As deep as a path goes, which is not as deep as folders go.
static void folders_in_folders_are_left_at_some_depth(void **state) {
    (void)state;
    mm_error error;
    enum { FINE = 60, DEEP = 200 };
    char path[2 * DEEP + 2];
    for (int depth = FINE; depth <= DEEP; depth += DEEP - FINE) {
        for (int i = 0; i < depth; i++) memcpy(path + 2 * i, "d/", 3);
        assert_int_equal(mm_make_folders(in_root(path), &error), MM_OK);
        mm_status status = mm_remove_folder(in_root("d"), &error);
        assert_int_equal(status, depth == FINE ? MM_OK : MM_TROUBLE);
    }
    assert_non_null(strstr(error.text, "deep"));
    for (int i = DEEP; i-- > 0;) { // what is left, from below
        path[2 * i + 1] = 0;
        assert_int_equal(rmdir(in_root(path)), 0);
    }
}

static const char *remains(const char *name, pid_t pid, int count) {
    char temporary[64];
    snprintf(temporary, sizeof temporary, ".%s.tmp-%ld-%d", name, (long)pid, count);
    const char *path = in_root(temporary);
    assert_int_equal(mkdir(path, 0700), 0);
    write_into(path, "file", "large");
    return path;
}

static void drafts_of_killed_processes_are_swept_away(void **state) {
    (void)state;
    mm_error error;
    mm_draft *draft, *second;
    pid_t gone = fork();
    if (gone == 0) _exit(0);
    assert_int_equal(waitpid(gone, NULL, 0), gone);
    remains("out", gone, 0);
    remains("out", gone, 123);
    remains("out", getpid(), 4000000); // of an earlier process of this number
    remains("out", getppid(), 0);
    remains("out", gone, 7);
    remains("other", gone, 0);
    remains("out.tmp-1-1", gone, 0);
    char name[64];
    snprintf(name, sizeof name, ".out.tmp-%ld-7", (long)gone);
    int held = open(in_root(name), O_RDONLY | O_DIRECTORY); // another machine makes it
    assert_int_equal(flock(held, LOCK_EX), 0);
    assert_int_equal(mm_draft_begin_swept(in_root("out"), &draft, &error), MM_OK);
    assert_int_equal(entries_of(root), 5);
    // Nobody's own is taken away.
    assert_int_equal(mm_draft_begin_swept(in_root("out"), &second, &error), MM_OK);
    assert_int_equal(entries_of(root), 6);
    mm_draft_abandon(second);
    write_into(mm_draft_path(draft), "file", "kept");
    assert_int_equal(mm_draft_commit(draft, &error), MM_OK);
    assert_holds(in_root("out/file"), "kept");
    close(held);
    assert_int_equal(mm_draft_begin_swept(in_root("out"), &draft, &error), MM_TROUBLE);
    assert_int_equal(rename(in_root("out"), in_root("moved")), 0);
    assert_int_equal(mm_draft_begin_swept(in_root("out"), &draft, &error), MM_OK);
    mm_draft_abandon(draft);
    assert_int_equal(entries_of(root), 4);
}

static void reading_has_limits(void **state) {
    (void)state;
    mm_error error;
    char *data;
    size_t size;
    write_into(root, "file", "12345");
    const char *path = in_root("file");
    assert_int_equal(mm_read_file(path, 5, &data, &size, &error), MM_OK);
    free(data);
    assert_trouble(mm_read_file(path, 4, &data, &size, &error), &error, path, "at most 4");
    assert_trouble(mm_read_file(root, 4, &data, &size, &error), &error, root, "a folder");
    path = in_root("none");
    assert_trouble(mm_read_file(path, 4, &data, &size, &error), &error, path, strerror(ENOENT));
    path = in_root("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_trouble(mm_read_file(path, 4, &data, &size, &error), &error, path, "regular file");
    char out[8];
    assert_int_equal(mm_path_join(out, sizeof out, "abc", "def", &error), MM_OK);
    assert_string_equal(out, "abc/def");
    assert_int_equal(mm_path_join(out, sizeof out, "abc/", "def", &error), MM_OK);
    assert_string_equal(out, "abc/def");
    assert_trouble(mm_path_join(out, sizeof out, "abc", "defg", &error), &error, "abc/defg", "too long");
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(file_replaces_whole),
        EACH(name_of_the_longest_kind),
        EACH(failed_write_keeps_the_old),
        EACH(bad_places_are_named),
        EACH(draft_appears_at_once),
        EACH(draft_never_replaces),
        EACH(draft_never_replaces_where_renameat2_is_unknown),
        EACH(draft_is_on_disk_before_it_appears),
        EACH(file_is_on_disk_before_it_appears),
        EACH(abandoned_draft_leaves_nothing),
        EACH(a_file_of_a_draft_appears_alone),
        EACH(link_moves_over),
        EACH(folders_are_made_and_removed),
        EACH(folders_in_folders_are_left_at_some_depth),
        EACH(drafts_of_killed_processes_are_swept_away),
        EACH(reading_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

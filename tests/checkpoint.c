// Checkpoints: what is saved comes back to the bit, a kill anywhere leaves a whole set, damage is refused by
// name.
#include <mm/files/publish.h>
#include <mm/files/safetensors.h>
#include <mm/record/checkpoint.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

// The calls that change the disk, as the library sees them. Before number `fatal` the process ends, as by
// kill -9.
static struct {
    int calls, fatal;
    bool no_exchange; // a file system that cannot exchange two names
} world;

enum { KILLED = 99 };

static void count_call(void) {
    if (++world.calls == world.fatal) _exit(KILLED);
}

int fsync(int fd) {
    (void)fd;
    count_call();
    return 0;
}

int rename(const char *from, const char *to) {
    count_call();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    count_call();
    if (world.no_exchange && flags == RENAME_EXCHANGE) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int unlinkat(int folder, const char *name, int flags) {
    count_call();
    return (int)syscall(SYS_unlinkat, folder, name, flags);
}

int mkdir(const char *path, mode_t mode) {
    count_call();
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int symlink(const char *target, const char *path) {
    count_call();
    return (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
}

// --- a small model

enum { ROWS = 3, COLUMNS = 5, NORM = 7, MATRIX = ROWS * COLUMNS, FLOATS = 3 * (MATRIX + NORM) };
typedef struct small_model {
    float floats[FLOATS];
    mm_tensor tensors[2], optimizer[4];
} small_model;

// Any bits, by `seed`: a checkpoint is not to look at the numbers. 0: all zero.
static void make_model(small_model *m, uint64_t seed) {
    static const char *const names[] = {
        "matrix", "norm", "exp_avg.matrix", "exp_avg.norm", "exp_avg_sq.matrix", "exp_avg_sq.norm"};
    float *at = m->floats;
    for (int i = 0; i < 6; i++) {
        mm_tensor t = i % 2 ? mm_tensor_1d(names[i], at, NORM) : mm_tensor_2d(names[i], at, ROWS, COLUMNS);
        *(i < 2 ? &m->tensors[i] : &m->optimizer[i - 2]) = t;
        at += i % 2 ? NORM : MATRIX;
    }
    for (int i = 0; i < FLOATS; i++) {
        uint32_t bits = seed ? (uint32_t)fixture_draw(&seed) : 0;
        memcpy(&m->floats[i], &bits, sizeof bits);
    }
}

static const char config[] = "{\"model_type\": \"qwen3\"}\n", tokenizer[] = "{\"version\": \"\0\"}",
                  tokenizer_config[] = "{}\n";

static mm_checkpoint checkpoint_of(const small_model *m, int64_t step) {
    return (mm_checkpoint){.config = config,
                           .tokenizer = tokenizer,
                           .tokenizer_size = sizeof tokenizer - 1,
                           .tokenizer_config = tokenizer_config,
                           .tensors = m->tensors,
                           .count = 2,
                           .optimizer = m->optimizer,
                           .optimizer_count = 4,
                           .state = {.step = step,
                                     .position = (uint64_t)step * 32,
                                     .tokens = step * 1000,
                                     .streams_version = 1,
                                     .arithmetic_version = 2}};
}

static void save(const char *run, int64_t step, uint64_t seed, int keep) {
    small_model m;
    mm_error error;
    make_model(&m, seed);
    mm_checkpoint c = checkpoint_of(&m, step);
    if (mm_checkpoint_save(run, &c, keep, &error)) fail_msg("%s", error.text);
}

static char *folder_of(char out[FIXTURE_PATH], const char *run, int64_t step) {
    mm_error error;
    if (mm_checkpoint_path(run, step, out, FIXTURE_PATH, &error)) fail_msg("%s", error.text);
    return out;
}

// The checkpoint at `folder` is whole, and of this step and seed.
static void assert_checkpoint(const char *folder, int64_t step, uint64_t seed) {
    char path[FIXTURE_PATH];
    small_model found, expected;
    mm_checkpoint_state state;
    mm_error error;
    size_t size;
    make_model(&expected, seed);
    make_model(&found, 0);
    if (mm_checkpoint_state_read(folder, &state, &error)) fail_msg("%s", error.text);
    assert_true(state.step == step && state.position == (uint64_t)step * 32 && state.tokens == step * 1000);
    assert_true(state.streams_version == 1 && state.arithmetic_version == 2);
    fixture_path(path, folder, "model.safetensors");
    if (mm_tensors_read(path, found.tensors, 2, &error)) fail_msg("%s", error.text);
    fixture_path(path, folder, "optimizer.safetensors");
    if (mm_tensors_read(path, found.optimizer, 4, &error)) fail_msg("%s", error.text);
    assert_memory_equal(found.floats, expected.floats, sizeof found.floats);
    char *text = fixture_read(fixture_path(path, folder, "config.json"), &size);
    assert_string_equal(text, config);
    free(text);
    text = fixture_read(fixture_path(path, folder, "tokenizer.json"), &size);
    assert_int_equal(size, sizeof tokenizer - 1);
    assert_memory_equal(text, tokenizer, size);
    free(text);
    text = fixture_read(fixture_path(path, folder, "tokenizer_config.json"), &size);
    assert_string_equal(text, tokenizer_config);
    free(text);
}

static void assert_list(const char *run, const int64_t *expected, int expected_count) {
    int64_t *steps;
    int count;
    mm_error error;
    if (mm_checkpoint_list(run, &steps, &count, &error)) fail_msg("%s", error.text);
    assert_int_equal(count, expected_count);
    for (int i = 0; i < count; i++) assert_int_equal(steps[i], expected[i]);
    free(steps);
}

// --- tests

static void what_is_saved_comes_back(void **state) {
    char path[FIXTURE_PATH], target[FIXTURE_PATH] = "";
    assert_list(*state, NULL, 0);
    save(*state, 300, 1, 0);
    assert_checkpoint(folder_of(path, *state, 300), 300, 1);
    fixture_path(path, *state, "model");
    assert_true(readlink(path, target, sizeof target - 1) > 0);
    assert_string_equal(target, "checkpoints/step-000300");
    assert_checkpoint(path, 300, 1);
    save(*state, 1234567, 2, 0);
    assert_checkpoint(path, 1234567, 2);
    assert_list(*state, (int64_t[]){300, 1234567}, 2);
}

static void the_newest_are_kept(void **state) {
    for (int64_t s = 1; s <= 5; s++) save(*state, s, (uint64_t)s, 2);
    assert_list(*state, (int64_t[]){4, 5}, 2);
    save(*state, 6, 6, 0);
    assert_list(*state, (int64_t[]){4, 5, 6}, 3);
}

static void only_checkpoints_are_listed(void **state) {
    static const char *const others[] = {"step-0000007",
                                         "step-7",
                                         "step-00000x",
                                         "step-",
                                         ".step-000007.tmp-1-0",
                                         "step--00007",
                                         "step-99999999999999999999",
                                         "step-000007.again"};
    char path[FIXTURE_PATH], name[64];
    save(*state, 2, 1, 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(name, sizeof name, "checkpoints/%s", others[i]);
        assert_int_equal(mkdir(fixture_path(path, *state, name), 0777), 0);
    }
    assert_list(*state, (int64_t[]){2}, 1);
}

static void a_step_saved_again_is_replaced_only_if_it_is_another(void **state) {
    char folder[FIXTURE_PATH], path[FIXTURE_PATH];
    struct stat before, after;
    folder_of(folder, *state, 7);
    for (int once = 0; once < 2; once++) {
        world.no_exchange = once;
        save(*state, 7, 1, 3);
        assert_int_equal(stat(folder, &before), 0);
        save(*state, 7, 1, 3);
        assert_int_equal(stat(folder, &after), 0);
        assert_true(before.st_ino == after.st_ino);
        save(*state, 7, 2, 3);
        assert_checkpoint(folder, 7, 2);
        fixture_write(fixture_path(path, folder, "config.json"), "{}", 2);
        save(*state, 7, 2, 3);
        assert_checkpoint(folder, 7, 2);
        assert_int_equal(unlink(fixture_path(path, folder, "state.json")), 0);
        save(*state, 7, 2, 3);
        assert_checkpoint(folder, 7, 2);
    }
    world.no_exchange = false;
    assert_list(*state, (int64_t[]){7}, 1);
}

// Everything listed is whole, and `model` leads to one of it. Steps have seeds 10 + step, or 20 + step.
static void assert_whole_set(const char *run, int fatal) {
    char path[FIXTURE_PATH];
    int64_t *steps;
    int count;
    mm_checkpoint_state at;
    mm_error error;
    assert_int_equal(mm_checkpoint_list(run, &steps, &count, &error), MM_OK);
    if (count == 0) fail_msg("killed before call %d: no checkpoint is left", fatal);
    for (int i = 0; i < count; i++)
        if (mm_checkpoint_state_read(folder_of(path, run, steps[i]), &at, &error))
            fail_msg("killed before call %d: %s", fatal, error.text);
    free(steps);
    if (mm_checkpoint_state_read(fixture_path(path, run, "model"), &at, &error))
        fail_msg("killed before call %d: %s", fatal, error.text);
}

// A process that saves `step` is killed before each call in turn; the set is whole each time, and saving
// again ends as if nothing had been.
static void kill_everywhere(const char *folder, int64_t first, int64_t step) {
    int fatal = 1, ended = 0;
    for (; !ended; fatal++) {
        char run[FIXTURE_PATH], path[FIXTURE_PATH], name[32];
        snprintf(name, sizeof name, "run-%d-%lld", fatal, (long long)step);
        world.fatal = 0;
        assert_int_equal(mkdir(fixture_path(run, folder, name), 0777), 0);
        save(run, first, 10 + (uint64_t)first, 1);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            world.calls = 0;
            world.fatal = fatal;
            save(run, step, 20 + (uint64_t)step, 1);
            _exit(0);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how) && (WEXITSTATUS(how) == 0 || WEXITSTATUS(how) == KILLED));
        ended = WEXITSTATUS(how) == 0;
        assert_whole_set(run, fatal);
        save(run, step, 20 + (uint64_t)step, 1);
        assert_checkpoint(folder_of(path, run, step), step, 20 + (uint64_t)step);
        assert_checkpoint(fixture_path(path, run, "model"), step, 20 + (uint64_t)step);
        assert_list(run, &step, 1);
    }
    print_message("%d calls\n", fatal - 2);
    assert_true(fatal > 20);
}

static void a_kill_anywhere_leaves_a_whole_set(void **state) {
    kill_everywhere(*state, 1, 2); // a new one, and the old one is pruned
    kill_everywhere(*state, 3, 3); // one that replaces another
}

static void a_changed_state_is_refused(void **state) {
    char folder[FIXTURE_PATH], path[FIXTURE_PATH];
    size_t size;
    mm_checkpoint_state at;
    mm_error error;
    save(*state, 4, 1, 0);
    char *text = fixture_read(fixture_path(path, folder_of(folder, *state, 4), "state.json"), &size);
    for (size_t i = 0; i < 3 * size; i++) {
        char old = text[i / 3];
        text[i / 3] = (char)(i % 3 == 0 ? old ^ 1 : old);
        unlink(path);
        fixture_write(path, text, i % 3 == 2 ? i / 3 : size);
        if (i % 3 == 1) fixture_write(path, text, i / 3 ? i / 3 - 1 : 0);
        text[i / 3] = old;
        if (mm_checkpoint_state_read(folder, &at, &error) != MM_TROUBLE)
            fail_msg("change %zu of byte %zu", i % 3, i / 3);
        if (!strstr(error.text, "state.json")) fail_msg("%s", error.text);
    }
    fixture_write(path, text, size);
    free(text);
    assert_checkpoint(folder, 4, 1);
}

static void damaged_and_mixed_files_are_named(void **state) {
    static const char *const names[] = {"model.safetensors", "optimizer.safetensors", "config.json",
                                        "tokenizer.json", "tokenizer_config.json"};
    char folder[FIXTURE_PATH], other[FIXTURE_PATH], path[FIXTURE_PATH], from[FIXTURE_PATH];
    mm_checkpoint_state at;
    mm_error error;
    size_t size, other_size;
    save(*state, 1, 1, 0);
    save(*state, 2, 2, 0);
    folder_of(folder, *state, 1);
    folder_of(other, *state, 2);
    for (int f = 0; f < 5; f++) {
        const bool differs = f < 2; // the others are the same in both
        char *bytes = fixture_read(fixture_path(path, folder, names[f]), &size);
        char *others = fixture_read(fixture_path(from, other, names[f]), &other_size);
        fixture_write(path, others, other_size);
        assert_int_equal(mm_checkpoint_state_read(folder, &at, &error), differs ? MM_TROUBLE : MM_OK);
        if (differs) assert_non_null(strstr(error.text, path));
        bytes[size - 1] ^= 1;
        fixture_write(path, bytes, size);
        bytes[size - 1] ^= 1;
        assert_int_equal(mm_checkpoint_state_read(folder, &at, &error), MM_TROUBLE);
        assert_non_null(strstr(error.text, path));
        fixture_write(path, bytes, size);
        free(bytes);
        free(others);
    }
    assert_checkpoint(folder, 1, 1);
}

static void tensors_that_do_not_fit_are_named(void **state) {
    char path[FIXTURE_PATH];
    small_model m;
    mm_error error;
    make_model(&m, 1);
    mm_tensor written[2] = {m.tensors[0], m.tensors[1]}, asked[2] = {m.tensors[0], m.tensors[1]};
    fixture_path(path, *state, "x.safetensors");
    assert_int_equal(mm_safetensors_write(path, written, 2, &error), MM_OK);
    assert_int_equal(mm_tensors_read(path, asked, 2, &error), MM_OK);
    assert_int_equal(mm_tensors_read(path, asked, 1, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "norm"));
    asked[1].name = "other";
    assert_int_equal(mm_tensors_read(path, asked, 2, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "has no tensor other, expected one of shape [7]"));
    asked[1] = m.tensors[1];
    asked[0].shape[0] = COLUMNS;
    asked[0].shape[1] = ROWS;
    assert_int_equal(mm_tensors_read(path, asked, 2, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "matrix"));
    assert_non_null(strstr(error.text, "[3, 5]"));
    assert_non_null(strstr(error.text, "[5, 3]"));
    assert_int_equal(mm_tensors_read("/nonexistent", asked, 2, &error), MM_TROUBLE);
}

static void a_full_disk_leaves_what_was_there(void **state) {
    char path[FIXTURE_PATH];
    small_model m;
    mm_error error;
    struct rlimit old, limit;
    save(*state, 1, 1, 1);
    make_model(&m, 2);
    mm_checkpoint c = checkpoint_of(&m, 2);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = old;
    limit.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    mm_status status = mm_checkpoint_save(*state, &c, 1, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, MM_TROUBLE);
    assert_non_null(strstr(error.text, "model.safetensors"));
    assert_checkpoint(fixture_path(path, *state, "model"), 1, 1);
    assert_list(*state, (int64_t[]){1}, 1);
}

static void what_stands_in_the_way_is_named(void **state) {
    static const char *const ways[] = {"checkpoints", "checkpoints/step-000001", "model"};
    for (int i = 0; i < 3; i++) {
        char run[FIXTURE_PATH], path[FIXTURE_PATH], name[32];
        small_model m;
        mm_error error;
        snprintf(name, sizeof name, "run-%d", i);
        assert_int_equal(mkdir(fixture_path(run, *state, name), 0777), 0);
        fixture_path(path, run, "checkpoints");
        if (i == 1) assert_int_equal(mkdir(path, 0777), 0);
        fixture_path(path, run, ways[i]);
        if (i < 2) fixture_write(path, "x", 1);
        if (i == 2) assert_int_equal(mkdir(path, 0777), 0);
        make_model(&m, 1);
        mm_checkpoint c = checkpoint_of(&m, 1);
        assert_int_equal(mm_checkpoint_save(run, &c, 1, &error), MM_TROUBLE);
        if (!strstr(error.text, path)) fail_msg("\"%s\" does not name %s", error.text, path);
    }
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_folder, fixture_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_is_saved_comes_back),
        IN_FOLDER(the_newest_are_kept),
        IN_FOLDER(only_checkpoints_are_listed),
        IN_FOLDER(a_step_saved_again_is_replaced_only_if_it_is_another),
        IN_FOLDER(a_kill_anywhere_leaves_a_whole_set),
        IN_FOLDER(a_changed_state_is_refused),
        IN_FOLDER(damaged_and_mixed_files_are_named),
        IN_FOLDER(tensors_that_do_not_fit_are_named),
        IN_FOLDER(a_full_disk_leaves_what_was_there),
        IN_FOLDER(what_stands_in_the_way_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// A run's folder: run.json comes back whole or is refused, one process at a time, nothing is overwritten.
#include <mm/base/text.h>
#include <mm/files/publish.h>
#include <mm/record/run.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

static void put_settings(mm_settings *s) {
    static const char *const values[][2] = {{"threads", "4"},
                                            {"ranks", "2"},
                                            {"workers", "2"},
                                            {"data", "/data/a \"b\""},
                                            {"preset", "tiny"},
                                            {"steps", "300"},
                                            {"batch", "32"},
                                            {"micro_batch", "4"},
                                            {"seq_len", "256"},
                                            {"seed", "0xfedcba9876543210"},
                                            {"seed_policy", "hashed"},
                                            {"dropout", "0.1"},
                                            {"lr", "3e-3"},
                                            {"beta1", "0.9"},
                                            {"beta2", "0.999"},
                                            {"eps", "1e-8"},
                                            {"clip", "1"},
                                            {"out", "runs/0001"}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        mm_error error;
        const mm_field *field = mm_settings_field(values[i][0]);
        if (mm_settings_parse(s, field, values[i][0], values[i][1], &error)) fail_msg("%s", error.text);
    }
}

static void make_facts(mm_run_facts *f) {
    mm_error error;
    *f = (mm_run_facts){.parameters = 1700000, .streams_version = 1, .arithmetic_version = 3};
    put_settings(&f->settings);
    f->argc = 3;
    f->argv = calloc(4, sizeof *f->argv);
    f->streams = calloc(2, sizeof *f->streams);
    f->initial = calloc(2, sizeof *f->initial);
    assert_true(f->argv && f->streams && f->initial);
    f->argv[0] = strdup("mm");
    f->argv[1] = strdup("--data");
    f->argv[2] = strdup("/data/a \"b\"");
    f->stream_count = f->initial_count = 2;
    f->streams[0] = (mm_run_stream){"sample_order", -1, UINT64_MAX};
    f->streams[1] = (mm_run_stream){"attention_dropout", 1, 0x123456789abcdef0};
    f->initial[0] = (mm_run_tensor){strdup("model.norm.weight"), 1, {128}, {1, 2}};
    f->initial[1] = (mm_run_tensor){strdup("model.embed_tokens.weight"), 2, {6400, 128}, {UINT64_MAX, 3}};
    f->data = (mm_run_data){strdup("/data/a \"b\""), {4, 5}, {6, 7}, 1ULL << 60, 12, 34};
    f->model_config = strdup("{\n  \"model_type\": \"qwen3\",\n  \"rms_norm_eps\": 1e-06\n}");
    f->program.version = strdup("0.1.0");
    f->program.build_type = strdup("release");
    f->program.isa = strdup("x86-64-v3");
    f->program.gemm_kernel = strdup("haswell");
    f->program.gemm_version = strdup("0.9.0");
    if (mm_run_program_machine(&f->program, &error)) fail_msg("%s", error.text);
}

static mm_run *create(const char *path, const mm_run_facts *facts) {
    mm_run *run;
    mm_error error;
    if (mm_run_hold(path, &run, &error) || mm_run_begin(run, facts, &error)) fail_msg("%s", error.text);
    return run;
}

static void make_run(const char *path) {
    mm_run_facts f;
    make_facts(&f);
    mm_run_close(create(path, &f));
    mm_run_facts_free(&f);
}

static void assert_strings(const mm_run_facts *a, const mm_run_facts *b) {
    const char *const x[] = {a->model_config,         a->program.version,
                             a->program.compiler,     a->program.build_type,
                             a->program.isa,          a->program.gemm_kernel,
                             a->program.gemm_version, a->program.cpu,
                             a->program.system,       a->data.path};
    const char *const y[] = {b->model_config,         b->program.version,
                             b->program.compiler,     b->program.build_type,
                             b->program.isa,          b->program.gemm_kernel,
                             b->program.gemm_version, b->program.cpu,
                             b->program.system,       b->data.path};
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) assert_string_equal(x[i], y[i]);
}

static void assert_facts(const mm_run_facts *a, const mm_run_facts *b) {
    assert_strings(a, b);
    assert_int_equal(a->argc, b->argc);
    for (int i = 0; i < a->argc; i++) assert_string_equal(a->argv[i], b->argv[i]);
    assert_true(a->parameters == b->parameters && a->program.cores == b->program.cores);
    assert_true(a->streams_version == b->streams_version && a->arithmetic_version == b->arithmetic_version);
    assert_true(a->stream_count == b->stream_count && a->initial_count == b->initial_count);
    for (int i = 0; i < a->stream_count; i++) {
        assert_string_equal(a->streams[i].purpose, b->streams[i].purpose);
        assert_true(a->streams[i].rank == b->streams[i].rank && a->streams[i].key == b->streams[i].key);
    }
    for (int i = 0; i < a->initial_count; i++) {
        assert_string_equal(a->initial[i].name, b->initial[i].name);
        assert_int_equal(a->initial[i].dims, b->initial[i].dims);
        assert_memory_equal(a->initial[i].shape, b->initial[i].shape, sizeof a->initial[i].shape);
        assert_true(mm_hash_equal(a->initial[i].hash, b->initial[i].hash));
    }
    assert_true(mm_hash_equal(a->data.hash, b->data.hash) &&
                mm_hash_equal(a->data.tokenizer, b->data.tokenizer));
    assert_true(a->data.tokens == b->data.tokens && a->data.documents == b->data.documents);
    assert_true(a->data.samples == b->data.samples && !a->val_data.path && !b->val_data.path);
    assert_true(a->settings.seed == b->settings.seed && a->settings.lr == b->settings.lr);
    assert_string_equal(a->settings.data, b->settings.data);
}

static void what_run_json_says_comes_back(void **state) {
    char first[FIXTURE_PATH], second[FIXTURE_PATH], path[FIXTURE_PATH];
    mm_run_facts f, again;
    mm_error error;
    size_t size, again_size;
    make_facts(&f);
    mm_run_close(create(fixture_path(first, *state, "a/b/first"), &f));
    if (mm_run_read(first, &again, &error)) fail_msg("%s", error.text);
    assert_facts(&f, &again);
    mm_run_close(create(fixture_path(second, *state, "second"), &again));
    char *text = fixture_read(fixture_path(path, first, "run.json"), &size);
    char *text_again = fixture_read(fixture_path(path, second, "run.json"), &again_size);
    assert_string_equal(text, text_again);
    assert_non_null(strstr(text, "\"policy\": \"hashed\""));
    assert_non_null(strstr(text, "\"seed\": \"0xfedcba9876543210\""));
    assert_non_null(strstr(text, "\"val_data\": null"));
    free(text);
    free(text_again);
    mm_run_facts_free(&f);
    mm_run_facts_free(&again);
}

// Goes on with the run by this one's program, of that version; answers whether run.json is another by it.
static bool go_on(mm_run_facts *f, int64_t after, const char *version) {
    mm_run_program p = {.version = strdup(version),
                        .compiler = strdup(f->program.compiler),
                        .build_type = strdup(f->program.build_type),
                        .isa = strdup(f->program.isa),
                        .gemm_kernel = strdup(f->program.gemm_kernel),
                        .gemm_version = strdup(f->program.gemm_version),
                        .cpu = strdup(f->program.cpu),
                        .system = strdup("of an update"),
                        .cores = 99};
    bool changed;
    mm_error error;
    if (mm_run_facts_continue(f, after, &p, &changed, &error)) fail_msg("%s", error.text);
    mm_run_program_free(&p);
    return changed;
}

static void assert_made_by(const mm_run_facts *f, int64_t step, const char *version, int64_t from) {
    int64_t found;
    assert_string_equal(mm_run_program_at(f, step, &found)->version, version);
    assert_int_equal(found, from);
}

static void who_goes_on_is_kept_once(void **state) {
    char path[FIXTURE_PATH];
    mm_run_facts f, again;
    mm_error error;
    make_facts(&f);
    assert_false(go_on(&f, 0, "0.1.0") || go_on(&f, 8, "0.1.0")); // its system and cores are no other program
    assert_true(go_on(&f, 10, "2") && go_on(&f, 20, "3"));
    assert_false(go_on(&f, 30, "3") || go_on(&f, 20, "3"));
    mm_run_close(create(fixture_path(path, *state, "run"), &f));
    if (mm_run_read(path, &again, &error)) fail_msg("%s", error.text);
    assert_int_equal(again.continued_count, 2);
    assert_made_by(&again, 10, "0.1.0", 0);
    assert_made_by(&again, 11, "2", 11);
    assert_made_by(&again, 20, "2", 11);
    assert_made_by(&again, 1000, "3", 21);
    assert_int_equal(again.continued[1].program.cores, 99);
    // What is made again is no longer theirs.
    assert_true(go_on(&again, 15, "2"));
    assert_made_by(&again, 1000, "2", 11);
    assert_true(go_on(&again, 10, "3"));
    assert_made_by(&again, 11, "3", 11);
    assert_true(go_on(&again, 0, "4"));
    assert_made_by(&again, 1, "4", 1);
    assert_true(go_on(&again, 0, "0.1.0"));
    assert_int_equal(again.continued_count, 0);
    mm_run_facts_free(&f);
    mm_run_facts_free(&again);
}

static void the_oldest_that_went_on_make_room(void **state) {
    char path[FIXTURE_PATH];
    mm_run_facts f, again;
    mm_error error;
    make_facts(&f);
    for (int i = 1; i <= MM_RUN_CONTINUED_MOST + 2; i++) assert_true(go_on(&f, i, i % 2 ? "odd" : "even"));
    mm_run_close(create(fixture_path(path, *state, "run"), &f));
    if (mm_run_read(path, &again, &error)) fail_msg("%s", error.text);
    assert_int_equal(again.continued_count, MM_RUN_CONTINUED_MOST);
    assert_made_by(&again, 4, "odd", 4);
    assert_made_by(&again, MM_RUN_CONTINUED_MOST + 3, "even", MM_RUN_CONTINUED_MOST + 3);
    mm_run_facts_free(&f);
    mm_run_facts_free(&again);
}

static void refuse_run(const char *run, const char *word) {
    mm_run_facts f;
    mm_error error = {""};
    if (mm_run_read(run, &f, &error) != MM_TROUBLE) fail_msg("taken; expected trouble with \"%s\"", word);
    if (!strstr(error.text, word) || strchr(error.text, '\n'))
        fail_msg("\"%s\" does not say \"%s\"", error.text, word);
}

static void a_changed_run_json_is_refused(void **state) {
    char run[FIXTURE_PATH], path[FIXTURE_PATH];
    size_t size;
    make_run(fixture_path(run, *state, "run"));
    char *text = fixture_read(fixture_path(path, run, "run.json"), &size);
    for (size_t i = 0; i < 2 * size; i++) {
        char old = text[i / 2];
        if (i % 2) text[i / 2] ^= (char)(1 << i / 2 % 7);
        unlink(path);
        fixture_write(path, text, i % 2 ? size : i / 2);
        text[i / 2] = old;
        refuse_run(run, "run.json");
    }
    free(text);
    assert_int_equal(unlink(path), 0);
    refuse_run(run, "run.json");
}

// The text with `to` in place of `from`, sealed as if mm had written it.
static void write_sealed(const char *path, const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    if (!at) fail_msg("%s is not in run.json", from);
    char hash[MM_HASH_TEXT];
    mm_text changed = {0};
    mm_text_add(&changed, text, (size_t)(at - text));
    mm_text_add_string(&changed, to);
    mm_text_add_string(&changed, at + strlen(from));
    assert_false(changed.failed);
    char *digits = strstr(changed.data, "\"seal\": \"") + 9;
    memset(digits, '0', 32);
    memcpy(digits, mm_hash_print(mm_hash_bytes(changed.data, changed.size), hash), 32);
    unlink(path);
    fixture_write(path, changed.data, changed.size);
    mm_text_free(&changed);
}

static void values_out_of_range_are_refused_under_a_right_seal(void **state) {
    static const char *const cases[][3] = {
        {"\"mm-run\"", "\"mm-runs\"", "mm-runs"},
        {"\"version\": 1,\n  \"command\"", "\"version\": 2,\n  \"command\"", "version"},
        {"\"--data\"", "5", "command"},
        {"\"--data\"", "\"a\\u0000b\"", "command"},
        {"\"threads\": 4", "\"threads\": 0", "threads"},
        {"\"dropout\": 0.1", "\"dropout\": 1.0", "dropout"},
        {"\"order\": \"shuffled\"", "\"order\": \"other\"", "order"},
        {"\"parameters\": 1700000", "\"parameters\": 0", "parameters"},
        {"\"tokens\": 1152921504606846976", "\"tokens\": -1", "tokens"},
        {"\"samples\": 34", "\"samples\": \"34\"", "samples"},
        {"\"batch\": 32", "\"batch\": 24", "batch 24"},
        {"\"ranks\": 2", "\"ranks\": 16", "16 ranks"},
        {"\"preset\": \"tiny\"", "\"preset\": null", "preset"},
        {"\"model\": null", "\"model\": \"m\"", "model"},
        {"\"data\": \"/data/a \\\"b\\\"\"", "\"data\": null", "data"},
        {"\"policy\": \"hashed\"", "\"policy\": \"rank\"", "policy"},
        {"\"rank\": 1", "\"rank\": -1", "rank"},
        {"\"key\": \"ffffffffffffffff\"", "\"key\": \"ffffffffffffffff0\"", "key"},
        {"\"sample_order\"", "\"a purpose that is far too long to be one\"", "purpose"},
        {"[128]", "[0]", "shape"},
        {"[128]", "[1, 2, 3, 4, 5]", "shape"},
        {"[128]", "[1.5]", "shape"},
        {"\"arithmetic\": 3", "\"arithmetic\": 0", "arithmetic"},
        {"\"data\": {", "\"data\": null, \"x\": {", "data"},
        {"\"val_data\": null", "\"val_data\": 1", "val_data"},
        {"\"cores\": ", "\"cores\": -", "cores"},
        {"  \"seal\"", "  \"continued\": 5,\n  \"seal\"", "continued"},
        {"  \"seal\"", "  \"continued\": [{\"after\": -1}],\n  \"seal\"", "after"},
        {"  \"seal\"", "  \"continued\": [{\"after\": 4}],\n  \"seal\"", "build"},
    };
    char run[FIXTURE_PATH], path[FIXTURE_PATH];
    mm_run_facts f;
    mm_error error;
    size_t size;
    make_run(fixture_path(run, *state, "run"));
    char *text = fixture_read(fixture_path(path, run, "run.json"), &size);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_sealed(path, text, cases[i][0], cases[i][1]);
        refuse_run(run, cases[i][2]);
    }
    write_sealed(path, text, "\"parameters\": 1700000", "\"parameters\": 1700001");
    if (mm_run_read(run, &f, &error)) fail_msg("%s", error.text);
    assert_int_equal(f.parameters, 1700001);
    mm_run_facts_free(&f);
    free(text);
}

// A child holds the run until the pipe closes.
static void the_second_process_is_refused(void **state) {
    char run_path[FIXTURE_PATH], byte;
    int ready[2], end[2];
    mm_run *run;
    mm_error error;
    make_run(fixture_path(run_path, *state, "run"));
    assert_true(pipe(ready) == 0 && pipe(end) == 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(end[1]);
        mm_status status = mm_run_open(run_path, &run, &error);
        ssize_t told = write(ready[1], status ? "n" : "y", 1);
        _exit(told == 1 && read(end[0], &byte, 1) == 0 ? 0 : 1); // without mm_run_close: as if it were killed
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(mm_run_open(run_path, &run, &error), MM_TROUBLE);
    assert_null(run);
    assert_non_null(strstr(error.text, "another process"));
    close(end[1]);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    if (mm_run_open(run_path, &run, &error)) fail_msg("%s", error.text);
    mm_run_close(run);
    close(ready[0]);
    close(ready[1]);
    close(end[0]);
}

// Several processes take numbers at once; each gets its own.
static void numbered_runs_do_not_meet(void **state) {
    enum { PROCESSES = 4, EACH = 5 };
    char old[FIXTURE_PATH];
    pid_t children[PROCESSES];
    mm_run_facts f;
    make_facts(&f);
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(*state), 0);
    for (int p = 0; p < PROCESSES; p++) {
        children[p] = fork();
        assert_true(children[p] >= 0);
        if (children[p]) continue;
        for (int i = 0; i < EACH; i++) {
            mm_run *run;
            if (mm_run_hold(NULL, &run, NULL) || mm_run_begin(run, &f, NULL)) _exit(1);
            mm_run_close(run);
        }
        _exit(0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int how;
        assert_int_equal(waitpid(children[p], &how, 0), children[p]);
        assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
    for (int i = 1; i <= PROCESSES * EACH; i++) {
        char path[FIXTURE_PATH];
        snprintf(path, sizeof path, "runs/%04d/run.json", i);
        if (!mm_is_file(path)) fail_msg("%s is not there", path);
    }
    mm_run *run = create(NULL, &f);
    const char *path = mm_run_path(run);
    assert_true(path[0] == '/' && strcmp(path + strlen(path) - 10, "/runs/0021") == 0);
    mm_run_close(run);
    assert_int_equal(chdir(old), 0);
    mm_run_facts_free(&f);
}

static void nothing_is_overwritten(void **state) {
    char run_path[FIXTURE_PATH], path[FIXTURE_PATH];
    mm_run_facts f;
    mm_run *run;
    mm_error error;
    make_facts(&f);
    make_run(fixture_path(run_path, *state, "run"));
    assert_int_equal(mm_run_hold(run_path, &run, &error), MM_TROUBLE);
    assert_null(run);
    assert_non_null(strstr(error.text, "run.json"));
    assert_non_null(strstr(error.text, "--resume"));
    fixture_path(run_path, *state, "other");
    assert_int_equal(mkdir(run_path, 0777), 0);
    fixture_write(fixture_path(path, run_path, "letter.txt"), "dear", 4);
    assert_int_equal(mm_run_hold(run_path, &run, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "letter.txt"));
    assert_false(mm_is_file(fixture_path(path, run_path, "lock")));
    fixture_write(fixture_path(path, *state, "file"), "x", 1);
    assert_int_equal(mm_run_hold(path, &run, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(mm_run_hold("/proc/nowhere/run", &run, &error), MM_TROUBLE);
    mm_run_facts_free(&f);
}

// "data" is the run's own where its lock says that text was packed, else somebody's.
static void a_held_folder_may_hold_its_data(void **state) {
    char run_path[FIXTURE_PATH], path[FIXTURE_PATH];
    mm_run_facts f;
    mm_run *run;
    mm_error error;
    make_facts(&f);
    assert_int_equal(mkdir(fixture_path(run_path, *state, "run"), 0777), 0);
    assert_int_equal(mkdir(fixture_path(path, run_path, "data"), 0777), 0);
    assert_int_equal(mm_run_hold(run_path, &run, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "holds data"));
    assert_int_equal(rmdir(path), 0);
    if (mm_run_hold(run_path, &run, &error)) fail_msg("%s", error.text);
    mm_run_close(run);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(mm_run_hold(run_path, &run, &error), MM_TROUBLE);
    assert_int_equal(rmdir(path), 0);
    if (mm_run_hold(run_path, &run, &error) || mm_run_packing(run, &error)) fail_msg("%s", error.text);
    mm_run_close(run);
    assert_int_equal(mkdir(path, 0777), 0);
    fixture_write(fixture_path(path, run_path, ".run.json.tmp-123-0"), "{", 1);
    mm_run_close(create(run_path, &f));
    assert_true(mm_is_file(fixture_path(path, run_path, "run.json")));
    mm_run_facts_free(&f);
}

// What the lock says was packed goes, once; a folder of that name that it says nothing of stays.
static void what_was_packed_is_unpacked(void **state) {
    char run_path[FIXTURE_PATH], data[FIXTURE_PATH], val[FIXTURE_PATH], file[FIXTURE_PATH];
    mm_run *run;
    mm_error error;
    fixture_path(run_path, *state, "run");
    fixture_path(data, run_path, "data");
    fixture_path(val, run_path, "val-data");
    if (mm_run_hold(run_path, &run, &error)) fail_msg("%s", error.text);
    assert_int_equal(mkdir(data, 0777), 0);
    if (mm_run_unpack(run, &error)) fail_msg("%s", error.text);
    assert_true(mm_is_folder(data));
    if (mm_run_packing(run, &error)) fail_msg("%s", error.text);
    assert_int_equal(mkdir(val, 0777), 0);
    fixture_write(fixture_path(file, val, "dataset.json"), "{}", 2);
    for (int i = 0; i < 2; i++) {
        if (mm_run_unpack(run, &error)) fail_msg("%s", error.text);
        assert_true(!mm_is_there(data) == !i && !mm_is_there(val));
        assert_true(i || mkdir(data, 0777) == 0);
    }
    assert_true(mm_run_packed(run, data) && mm_run_packed(run, val));
    assert_false(mm_run_packed(run, run_path) || mm_run_packed(run, file));
    mm_run_close(run);
}

// Only data that were packed into the run move with it.
static void data_are_found_where_the_run_is(void **state) {
    static char out[] = "/old/run", own[] = "/old/run/data", own_val[] = "/old/run/val-data",
                data[] = "/data";
    char run_path[FIXTURE_PATH], here[FIXTURE_PATH], found[FIXTURE_PATH];
    mm_settings s = {.out = out, .data = own, .val_data = data};
    mm_error error;
    fixture_path(here, fixture_path(run_path, *state, "moved"), "data");
    assert_int_equal(mkdir(run_path, 0777), 0);
    if (mm_run_find_data(run_path, &s, false, found, sizeof found, &error)) fail_msg("%s", error.text);
    assert_string_equal(found, own); // it is not there
    assert_int_equal(mkdir(here, 0777), 0);
    if (mm_run_find_data(run_path, &s, false, found, sizeof found, &error)) fail_msg("%s", error.text);
    assert_string_equal(found, here);
    fixture_path(here, run_path, "val-data");
    assert_int_equal(mkdir(here, 0777), 0);
    if (mm_run_find_data(run_path, &s, true, found, sizeof found, &error)) fail_msg("%s", error.text);
    assert_string_equal(found, data);
    s.val_data = own_val;
    if (mm_run_find_data(run_path, &s, true, found, sizeof found, &error)) fail_msg("%s", error.text);
    assert_string_equal(found, here);
    s.data = data;
    if (mm_run_find_data(run_path, &s, false, found, sizeof found, &error)) fail_msg("%s", error.text);
    assert_string_equal(found, data);
}

static void what_a_killed_process_left_is_removed(void **state) {
    static const char *const left[] = {".trace.cut.tmp-1-0", ".data.tmp-12-3"};
    char run_path[FIXTURE_PATH], path[FIXTURE_PATH], file[FIXTURE_PATH];
    mm_run *run;
    mm_error error;
    make_run(fixture_path(run_path, *state, "run"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mkdir(fixture_path(path, run_path, left[i]), 0777), 0);
        fixture_write(fixture_path(file, path, "part"), "x", 1);
    }
    fixture_write(fixture_path(path, run_path, ".model.tmp-1-1"), "x", 1);
    fixture_write(fixture_path(file, run_path, ".note"), "x", 1);
    if (mm_run_open(run_path, &run, &error)) fail_msg("%s", error.text);
    mm_run_close(run);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(file, F_OK), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(access(fixture_path(path, run_path, left[i]), F_OK), -1);
}

static void a_folder_that_is_no_run_is_left_alone(void **state) {
    char path[FIXTURE_PATH];
    mm_run *run;
    mm_error error;
    fixture_write(fixture_path(path, *state, ".mine.tmp-1-0"), "x", 1);
    assert_int_equal(mm_run_open(*state, &run, &error), MM_TROUBLE);
    assert_null(run);
    assert_non_null(strstr(error.text, "run.json"));
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(access(fixture_path(path, *state, "lock"), F_OK), -1);
    assert_int_equal(mm_run_open("/nonexistent", &run, &error), MM_TROUBLE);
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_folder, fixture_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_run_json_says_comes_back),
        IN_FOLDER(who_goes_on_is_kept_once),
        IN_FOLDER(the_oldest_that_went_on_make_room),
        IN_FOLDER(a_changed_run_json_is_refused),
        IN_FOLDER(values_out_of_range_are_refused_under_a_right_seal),
        IN_FOLDER(the_second_process_is_refused),
        IN_FOLDER(numbered_runs_do_not_meet),
        IN_FOLDER(nothing_is_overwritten),
        IN_FOLDER(a_held_folder_may_hold_its_data),
        IN_FOLDER(what_was_packed_is_unpacked),
        IN_FOLDER(data_are_found_where_the_run_is),
        IN_FOLDER(what_a_killed_process_left_is_removed),
        IN_FOLDER(a_folder_that_is_no_run_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// metrics.jsonl: bits come back, a killed run goes on in the same bytes, a full disk leaves whole lines.
#include <mm/files/publish.h>
#include <mm/record/metrics.h>

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

static mm_metrics *open_metrics(const char *run, int64_t keep) {
    mm_metrics *m;
    mm_error error;
    if (mm_metrics_open(run, keep, &m, &error)) fail_msg("%s", error.text);
    return m;
}

static void add(mm_metrics *m, const mm_metrics_row *row) {
    mm_error error;
    mm_timing_row timing = {
        .step = row->step, .seconds = 0.25, .tokens_per_second = 1e4, .resident_bytes = 1 << 20};
    if (mm_metrics_add(m, row, &timing, &error)) fail_msg("%s", error.text);
}

static mm_metrics_row row_of(int64_t step) {
    return (mm_metrics_row){.step = step,
                            .loss = 8.7 / (double)step,
                            .lr = 3e-3 / 7,
                            .grad_norm = 0.1 * (double)step,
                            .tokens = 1000 + step,
                            .has_val = step % 2 == 0,
                            .val_loss = step % 2 == 0 ? 1.0 / 3 : 0};
}

static void write_run(const char *run, int64_t steps) {
    mm_metrics *m = open_metrics(run, 0);
    for (int64_t s = 1; s <= steps; s++) {
        mm_metrics_row row = row_of(s);
        add(m, &row);
    }
    mm_metrics_close(m);
}

// How many rows are read before the end or trouble.
static int64_t count_rows(const char *run, mm_status *status, mm_metrics_row *rows, mm_error *error) {
    mm_metrics_reader *r;
    int64_t count = 0;
    *status = mm_metrics_reader_open(run, &r, error);
    for (bool more = true; !*status && more; count += more)
        *status = mm_metrics_reader_next(r, &rows[count], &more, error);
    mm_metrics_reader_close(r);
    return count - (*status ? 1 : 0);
}

static double any_double(uint64_t *draws) {
    for (;;) {
        uint64_t bits = fixture_draw(draws);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (isfinite(x)) return x;
    }
}

static void numbers_give_their_bits_back(void **state) {
    enum { ROWS = 2000 };
    static mm_metrics_row in[ROWS], out[ROWS + 1];
    uint64_t draws = 1337;
    print_message("seed %llu\n", (unsigned long long)draws);
    mm_metrics *m = open_metrics(*state, 0);
    for (int i = 0; i < ROWS; i++) {
        in[i] = (mm_metrics_row){.step = i + 1,
                                 .loss = i ? any_double(&draws) : -0.0,
                                 .lr = any_double(&draws),
                                 .grad_norm = i == 1 ? 0x1p-1074 : any_double(&draws),
                                 .tokens = (int64_t)(fixture_draw(&draws) >> 1)};
        in[i].has_val = i % 3 == 0;
        if (in[i].has_val) in[i].val_loss = any_double(&draws);
        add(m, &in[i]);
    }
    mm_metrics_close(m);
    mm_status status;
    mm_error error;
    assert_int_equal(count_rows(*state, &status, out, &error), ROWS);
    if (status) fail_msg("%s", error.text);
    for (int i = 0; i < ROWS; i++) {
        assert_true(in[i].step == out[i].step && in[i].tokens == out[i].tokens &&
                    in[i].has_val == out[i].has_val);
        assert_memory_equal(&in[i].loss, &out[i].loss, 8);
        assert_memory_equal(&in[i].lr, &out[i].lr, 8);
        assert_memory_equal(&in[i].grad_norm, &out[i].grad_norm, 8);
        assert_memory_equal(&in[i].val_loss, &out[i].val_loss, 8);
    }
}

static void a_line_is_as_the_documentation_says(void **state) {
    char path[FIXTURE_PATH];
    size_t size;
    mm_metrics *m = open_metrics(*state, 0);
    mm_metrics_row row = {
        .step = 1, .loss = 8.5, .lr = 0.003, .grad_norm = 0.5, .tokens = 7, .has_val = true, .val_loss = 2};
    add(m, &row);
    row = (mm_metrics_row){.step = 2, .loss = NAN, .lr = 0.003, .grad_norm = INFINITY, .tokens = 7};
    add(m, &row);
    row = (mm_metrics_row){.step = 3, .loss = 8, .lr = 0.003, .grad_norm = 1, .tokens = 7, .spoiled = true};
    add(m, &row);
    mm_metrics_close(m);
    char *text = fixture_read(fixture_path(path, *state, "metrics.jsonl"), &size);
    assert_string_equal(
        text,
        "{\"step\": 1, \"loss\": 8.5, \"lr\": 0.003, \"grad_norm\": 0.5, \"tokens\": 7, \"val_loss\": 2.0}\n"
        "{\"step\": 2, \"loss\": null, \"lr\": 0.003, \"grad_norm\": null, \"tokens\": 7, "
        "\"nonfinite\": [\"loss\", \"grad_norm\"]}\n"
        "{\"step\": 3, \"loss\": 8.0, \"lr\": 0.003, \"grad_norm\": 1.0, \"tokens\": 7, "
        "\"nonfinite\": [\"update\"]}\n");
    free(text);
    mm_metrics_row rows[4];
    mm_status status;
    mm_error error;
    assert_int_equal(count_rows(*state, &status, rows, &error), 3);
    assert_true(isnan(rows[1].loss) && isnan(rows[1].grad_norm) && rows[1].lr == 0.003 && !rows[1].has_val);
    assert_true(rows[2].spoiled && !rows[1].spoiled && rows[2].loss == 8);
}

// Where line `line` (from 1) ends.
static size_t end_of(const char *text, int line) {
    const char *at = text;
    while (line--) at = strchr(at, '\n') + 1;
    return (size_t)(at - text);
}

// Each file is cut at every byte; a run that goes on from step 3 ends in the bytes of one left alone, or the
// lines up to step 3 are missing and it does not begin.
static void a_run_cut_anywhere_goes_on_in_the_same_bytes(void **state) {
    static const char *const names[] = {"metrics.jsonl", "timing.jsonl"};
    char path[2][FIXTURE_PATH], *whole[2];
    size_t size[2], again_size;
    write_run(*state, 5);
    for (int f = 0; f < 2; f++) whole[f] = fixture_read(fixture_path(path[f], *state, names[f]), &size[f]);
    for (int f = 0; f < 2; f++) {
        for (size_t cut = 0; cut <= size[f]; cut++) {
            fixture_rewrite(path[f], whole[f], cut);
            mm_metrics *m;
            mm_error error = {""};
            mm_status status = mm_metrics_open(*state, 3, &m, &error);
            if (cut < end_of(whole[f], 3)) {
                assert_int_equal(status, MM_TROUBLE);
                assert_non_null(strstr(error.text, names[f]));
                char *kept = fixture_read(path[f], &again_size);
                assert_int_equal(again_size, cut);
                free(kept);
                continue;
            }
            if (status) fail_msg("cut to %zu: %s", cut, error.text);
            for (int64_t s = 4; s <= 5; s++) {
                mm_metrics_row row = row_of(s);
                add(m, &row);
            }
            mm_metrics_close(m);
            for (int g = 0; g < 2; g++) {
                char *again = fixture_read(path[g], &again_size);
                assert_int_equal(again_size, size[g]);
                assert_memory_equal(again, whole[g], again_size);
                free(again);
            }
        }
        fixture_rewrite(path[f], whole[f], size[f]);
    }
    for (int f = 0; f < 2; f++) free(whole[f]);
}

static void a_run_that_begins_again_begins_empty(void **state) {
    write_run(*state, 3);
    mm_metrics_close(open_metrics(*state, 0));
    mm_metrics_row rows[4];
    mm_status status;
    mm_error error;
    assert_int_equal(count_rows(*state, &status, rows, &error), 0);
    assert_int_equal(status, MM_OK);
}

// A changed byte is refused with file and line, or the rows are still one a step and at most one is another.
static void a_changed_byte_is_refused_or_stays_in_its_row(void **state) {
    enum { ROWS = 4 };
    mm_metrics_row rows[ROWS + 2], changed[ROWS + 2];
    char path[FIXTURE_PATH];
    size_t size;
    mm_status status;
    mm_error error;
    write_run(*state, ROWS);
    assert_int_equal(count_rows(*state, &status, rows, &error), ROWS);
    char *text = fixture_read(fixture_path(path, *state, "metrics.jsonl"), &size);
    for (size_t i = 0; i < 2 * size; i++) {
        char old = text[i / 2];
        text[i / 2] = (char)(i % 2 ? old ^ 1 : 0);
        fixture_rewrite(path, text, size);
        text[i / 2] = old;
        int64_t count = count_rows(*state, &status, changed, &error);
        if (status) {
            assert_int_equal(status, MM_TROUBLE);
            if (!strstr(error.text, "metrics.jsonl line ")) fail_msg("%s", error.text);
            continue;
        }
        assert_int_equal(count, ROWS);
        int others = 0;
        for (int r = 0; r < ROWS; r++) {
            assert_int_equal(changed[r].step, r + 1);
            others += memcmp(&changed[r], &rows[r], sizeof rows[r]) != 0;
        }
        assert_true(others <= 1);
    }
    free(text);
}

static void a_file_without_lines_is_refused_early(void **state) {
    enum { BYTES = 1 << 22 };
    char path[FIXTURE_PATH], *text = malloc(BYTES);
    mm_metrics_row rows[2];
    mm_status status;
    mm_error error;
    assert_non_null(text);
    memset(text, '7', BYTES);
    fixture_write(fixture_path(path, *state, "metrics.jsonl"), text, BYTES);
    free(text);
    count_rows(*state, &status, rows, &error);
    assert_int_equal(status, MM_TROUBLE);
    assert_non_null(strstr(error.text, "line 1: found more than 4096 bytes"));
}

static void a_full_disk_leaves_whole_lines(void **state) {
    char path[FIXTURE_PATH];
    struct rlimit old, limit;
    struct stat before, after;
    write_run(*state, 2);
    mm_metrics *m = open_metrics(*state, 2);
    assert_int_equal(stat(fixture_path(path, *state, "metrics.jsonl"), &before), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = old;
    limit.rlim_cur = (rlim_t)before.st_size + 10; // half of a line finds room
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    mm_metrics_row row = row_of(3);
    mm_timing_row timing = {.step = 3};
    mm_error error;
    mm_status status = mm_metrics_add(m, &row, &timing, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, MM_TROUBLE);
    assert_non_null(strstr(error.text, "metrics.jsonl: cannot write to it"));
    assert_non_null(strstr(error.text, "--resume"));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    add(m, &row);
    mm_metrics_close(m);
    mm_metrics_row rows[4];
    assert_int_equal(count_rows(*state, &status, rows, &error), 3);
}

static void what_stands_in_the_way_is_named(void **state) {
    char path[FIXTURE_PATH];
    mm_metrics *m;
    mm_error error;
    assert_int_equal(mkdir(fixture_path(path, *state, "timing.jsonl"), 0777), 0);
    assert_int_equal(mm_metrics_open(*state, 0, &m, &error), MM_TROUBLE);
    assert_null(m);
    assert_non_null(strstr(error.text, "timing.jsonl"));
    assert_int_equal(mm_metrics_open("/nonexistent/run", 0, &m, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "/nonexistent/run/metrics.jsonl"));
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_folder, fixture_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(numbers_give_their_bits_back),
        IN_FOLDER(a_line_is_as_the_documentation_says),
        IN_FOLDER(a_run_cut_anywhere_goes_on_in_the_same_bytes),
        IN_FOLDER(a_run_that_begins_again_begins_empty),
        IN_FOLDER(a_changed_byte_is_refused_or_stays_in_its_row),
        IN_FOLDER(a_file_without_lines_is_refused_early),
        IN_FOLDER(a_full_disk_leaves_whole_lines),
        IN_FOLDER(what_stands_in_the_way_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

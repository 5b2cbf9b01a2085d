// trace.jsonl.gz: records come back, the bytes follow from the records, whole steps survive a cut anywhere.
#include <mm/files/bgzf.h>
#include <mm/files/publish.h>
#include <mm/record/trace_step.h>

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

// Records of every kind of place, their hashes from step and number.
static mm_trace_record record_of(int64_t step, int i) {
    static const char *const operations[] = {"batch", "o_proj", "gradient", "adamw"};
    mm_trace_record r = {.step = step,
                         .pass = (mm_pass)(i % 3),
                         .leaf = i % 4 == 1 ? i : -1,
                         .node_level = i % 4 == 2 ? i % 5 : -1,
                         .node_index = i % 4 == 2 ? i : 0,
                         .rank = i % 4 == 1 ? i / 2 : -1,
                         .layer = i % 2 ? i % 8 : -1,
                         .operation = operations[i % 4],
                         .output = i % 2 == 0,
                         .tensor = i % 2 ? "model.norm.weight" : "positions",
                         .dims = i % 5,
                         .hash = {(uint64_t)step * 0x9e3779b97f4a7c15u, (uint64_t)i * 0xbf58476d1ce4e5b9u}};
    for (int d = 0; d < r.dims; d++) r.shape[d] = d == 3 ? INT64_C(1) << 60 : i + d;
    return r;
}

static mm_trace *open_trace(const char *run, mm_level level, int64_t keep) {
    mm_trace *t;
    mm_error error;
    if (mm_trace_open(run, level, keep, &t, &error)) fail_msg("%s", error.text);
    return t;
}

static void end_step(mm_trace *t) {
    mm_error error;
    if (mm_trace_end_step(t, &error)) fail_msg("%s", error.text);
}

// In two lists, as two workers would.
static void add_step(mm_trace *t, int64_t step, int records) {
    mm_trace_list lists[2] = {{0}};
    for (int i = 0; i < records; i++) {
        mm_trace_record r = record_of(step, i);
        mm_trace_list_add(&lists[i >= records / 2], &r);
    }
    mm_trace_add(t, lists, 2);
    end_step(t);
    for (int i = 0; i < 2; i++) mm_trace_list_free(&lists[i]);
}

static void write_steps(const char *run, mm_level level, int64_t keep, int64_t last, int records) {
    mm_trace *t = open_trace(run, level, keep);
    for (int64_t s = keep + 1; s <= last; s++) add_step(t, s, records);
    mm_trace_close(t);
}

static void assert_record(const mm_trace_record *found, const mm_trace_record *expected) {
    assert_true(found->step == expected->step && found->pass == expected->pass &&
                found->leaf == expected->leaf);
    assert_true(found->node_level == expected->node_level && found->node_index == expected->node_index);
    assert_true(found->rank == expected->rank && found->layer == expected->layer);
    assert_true(found->output == expected->output && found->dims == expected->dims);
    assert_memory_equal(found->shape, expected->shape, (size_t)found->dims * sizeof found->shape[0]);
    assert_string_equal(found->operation, expected->operation);
    assert_string_equal(found->tensor, expected->tensor);
    assert_true(mm_hash_equal(found->hash, expected->hash));
}

// The next line's record, whose strings are `step`'s.
static mm_status next_record(mm_trace_reader *r, mm_trace_step *step, bool *more, mm_error *error) {
    const char *line;
    size_t size;
    mm_status status = mm_trace_reader_line(r, &line, &size, error);
    *more = !status && line;
    if (!*more) return status;
    mm_text_clear(&step->text);
    mm_text_add(&step->text, line, size);
    mm_text_add(&step->text, "\n", 1);
    return mm_trace_step_parse(step, "trace.jsonl.gz", error);
}

// Steps first..last with so many records each; stops at trouble, which it returns. *whole: steps that were
// all there.
static mm_status read_steps(const char *run, int64_t first, int64_t last, int records, int64_t *whole,
                            mm_error *error) {
    mm_trace_reader *r;
    mm_status status = mm_trace_reader_open(run, &r, error);
    mm_trace_step found = {0};
    int64_t count = 0;
    for (bool more = true; !status && more;) {
        status = next_record(r, &found, &more, error);
        if (status || !more) break;
        mm_trace_record expected = record_of(first + count / records, (int)(count % records));
        assert_record(found.records, &expected);
        count++;
    }
    *whole = count / records;
    if (!status) assert_int_equal(count, (last - first + 1) * records);
    mm_trace_step_free(&found);
    mm_trace_reader_close(r);
    return status;
}

static void assert_steps(const char *run, int64_t first, int64_t last, int records) {
    mm_error error;
    int64_t whole;
    if (read_steps(run, first, last, records, &whole, &error)) fail_msg("%s", error.text);
}

static char *read_trace(const char *run, char path[FIXTURE_PATH], size_t *size) {
    return fixture_read(fixture_path(path, run, "trace.jsonl.gz"), size);
}

static void records_come_back(void **state) {
    write_steps(*state, MM_LEVEL_LAYER, 0, 3, 60);
    assert_steps(*state, 1, 3, 60);
    mm_trace_reader *r;
    mm_error error;
    assert_int_equal(mm_trace_reader_open(*state, &r, &error), MM_OK);
    assert_int_equal(mm_trace_reader_level(r), MM_LEVEL_LAYER);
    mm_trace_reader_close(r);
}

static void lines_are_as_the_documentation_says_and_zcat_reads_them(void **state) {
    char path[FIXTURE_PATH], command[FIXTURE_PATH + 32], text[4096];
    mm_trace *t = open_trace(*state, MM_LEVEL_STEP, 0);
    mm_trace_list list = {0};
    mm_trace_record a = {.step = 1,
                         .pass = MM_PASS_FORWARD,
                         .leaf = 3,
                         .node_level = -1,
                         .rank = 1,
                         .layer = 0,
                         .operation = "o_proj",
                         .output = true,
                         .tensor = "x",
                         .dims = 2,
                         .shape = {5, 6},
                         .hash = {.high = 1, .low = 0xabc}};
    mm_trace_record b = {.step = 1,
                         .leaf = -1,
                         .node_level = 2,
                         .node_index = 7,
                         .rank = -1,
                         .layer = -1,
                         .operation = "merge",
                         .tensor = "w"};
    mm_trace_list_add(&list, &a);
    mm_trace_list_add(&list, &b);
    mm_trace_add(t, &list, 1);
    end_step(t);
    mm_trace_list_free(&list);
    mm_trace_close(t);
    snprintf(command, sizeof command, "gzip -cd '%s'", fixture_path(path, *state, "trace.jsonl.gz"));
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    text[fread(text, 1, sizeof text - 1, pipe)] = 0;
    assert_int_equal(pclose(pipe), 0);
    assert_string_equal(
        text,
        "{\"format\":\"mm-trace\",\"version\":1,\"level\":\"step\"}\n"
        "{\"step\":1,\"pass\":\"forward\",\"leaf\":3,\"rank\":1,\"layer\":0,\"op\":\"o_proj\",\"io\":\"out\","
        "\"tensor\":"
        "\"x\",\"shape\":[5,6],\"xxh128\":\"00000000000000010000000000000abc\"}\n"
        "{\"step\":1,\"node\":[2,7],\"op\":\"merge\",\"io\":\"in\",\"tensor\":\"w\",\"shape\":[],\"xxh128\":"
        "\"00000000000000000000000000000000\"}\n");
}

// The end of each step's members, from traces that end there.
static void ends_of(const char *run, int64_t steps, int records, size_t *ends) {
    char path[FIXTURE_PATH];
    for (int64_t s = 0; s <= steps; s++) {
        write_steps(run, MM_LEVEL_STEP, 0, s, records);
        free(read_trace(run, path, &ends[s]));
    }
}

// Cut at every byte, a trace gives its whole steps, then trouble if the cut is not between two; a run that
// goes on from step 2 ends in the bytes of one left alone, or step 2 is not there and it does not begin.
// (Where no more than the end of a member is cut, behind its text, its records come before the trouble.)
static void whole_steps_survive_a_cut_anywhere(void **state) {
    enum { STEPS = 4, RECORDS = 9, TAIL = 12 }; // the last code of deflate and 8 bytes of sums
    char path[FIXTURE_PATH];
    size_t ends[STEPS + 1], size, again_size;
    ends_of(*state, STEPS, RECORDS, ends);
    char *whole = read_trace(*state, path, &size);
    for (size_t cut = 0; cut <= size; cut++) {
        mm_error error = {""};
        int64_t steps, expected = 0;
        fixture_rewrite(path, whole, cut);
        while (expected < STEPS && ends[expected + 1] <= cut) expected++;
        mm_status status = read_steps(*state, 1, expected, RECORDS, &steps, &error);
        bool at_an_end = ends[expected] == cut;
        bool has_them =
            steps == expected || (!at_an_end && steps == expected + 1 && cut + TAIL >= ends[expected + 1]);
        if (status != (at_an_end ? MM_OK : MM_TROUBLE) || !has_them)
            fail_msg("cut to %zu: %s", cut, error.text);
        mm_trace *t;
        status = mm_trace_open(*state, MM_LEVEL_STEP, 2, &t, &error);
        if (cut < ends[2]) {
            if (!status) fail_msg("cut to %zu of %zu: not seen", cut, ends[2]);
            assert_non_null(strstr(error.text, "trace.jsonl.gz"));
            continue;
        }
        if (status) fail_msg("cut to %zu: %s", cut, error.text);
        for (int64_t s = 3; s <= STEPS; s++) add_step(t, s, RECORDS);
        mm_trace_close(t);
        char *again = read_trace(*state, path, &again_size);
        assert_int_equal(again_size, size);
        assert_memory_equal(again, whole, size);
        free(again);
    }
    free(whole);
}

// A changed bit is refused, or was one that says nothing (of a member's header), and the records are the
// same.
static void a_changed_bit_is_refused_or_says_nothing(void **state) {
    char path[FIXTURE_PATH];
    size_t size;
    write_steps(*state, MM_LEVEL_STEP, 0, 2, 9);
    char *whole = read_trace(*state, path, &size);
    for (size_t i = 0; i < 8 * size; i += 5) {
        mm_error error = {""};
        int64_t steps;
        whole[i / 8] ^= (char)(1 << i % 8);
        fixture_rewrite(path, whole, size);
        whole[i / 8] ^= (char)(1 << i % 8);
        if (read_steps(*state, 1, 2, 9, &steps, &error))
            assert_non_null(strstr(error.text, "trace.jsonl.gz"));
    }
    free(whole);
}

// A step of some 2 MB, which no reader holds whole: it is not taken for whole where its end is missing or
// damaged.
static void a_large_step_is_whole_or_not_there(void **state) {
    enum { RECORDS = 12000 };
    char path[FIXTURE_PATH];
    size_t ends[3], size, again_size;
    mm_trace *t;
    mm_error error;
    ends_of(*state, 2, RECORDS, ends);
    char *whole = read_trace(*state, path, &size);
    assert_steps(*state, 1, 2, RECORDS);
    const size_t cuts[] = {size - 1, size - 9, ends[1] + 1, ends[1] + (size - ends[1]) * 9 / 10, ends[1]};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        fixture_rewrite(path, whole, cuts[i]);
        assert_int_equal(mm_trace_open(*state, MM_LEVEL_STEP, 2, &t, &error), MM_TROUBLE);
        write_steps(*state, MM_LEVEL_STEP, 1, 2, RECORDS);
        char *again = read_trace(*state, path, &again_size);
        assert_int_equal(again_size, size);
        assert_memory_equal(again, whole, size);
        free(again);
    }
    whole[ends[1] + (size - ends[1]) / 2] ^= 1;
    fixture_rewrite(path, whole, size);
    assert_int_equal(mm_trace_open(*state, MM_LEVEL_STEP, 2, &t, &error), MM_TROUBLE);
    free(whole);
}

// Readers hold a step whole; 40 MB of one record in some 200 kB is none that mm wrote.
static void a_step_that_is_packed_too_tightly_is_refused(void **state) {
    enum { HASH = 32, BYTES = 40 << 20 };
    char path[FIXTURE_PATH];
    mm_text text = {0};
    unsigned char *member = NULL;
    size_t size = 0;
    mm_error error;
    mm_trace *t;
    mm_trace_steps *steps;
    mm_trace_step step = {0};
    mm_text_add_string(&text, "{\"format\":\"mm-trace\",\"version\":1,\"level\":\"step\"}\n");
    while (text.size < BYTES)
        mm_text_format(&text,
                       "{\"step\":1,\"op\":\"norm\",\"io\":\"out\",\"tensor\":\"a\",\"shape\":[],"
                       "\"xxh128\":\"%0*d\"}\n",
                       HASH, 0);
    assert_int_equal(mm_gzip_member(text.data, text.size, 6, &member, &size, &error), MM_OK);
    fixture_rewrite(fixture_path(path, *state, "trace.jsonl.gz"), member, size);
    assert_int_equal(mm_trace_steps_open(*state, &steps, &error), MM_OK);
    assert_int_equal(mm_trace_steps_next(steps, &step, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "trace.jsonl.gz line "));
    assert_non_null(strstr(error.text, "more records of one step"));
    assert_int_equal(mm_trace_open(*state, MM_LEVEL_STEP, 1, &t, &error), MM_TROUBLE);
    mm_trace_step_free(&step);
    mm_trace_steps_close(steps);
    free(member);
    mm_text_free(&text);
}

// Members are whole, but one in the middle is gone, or earlier ones come again.
static void a_step_out_of_order_is_damage(void **state) {
    char path[FIXTURE_PATH];
    size_t ends[4], size;
    ends_of(*state, 3, 9, ends);
    char *whole = read_trace(*state, path, &size), *changed = malloc(2 * size);
    assert_non_null(changed);
    for (int again = 0; again < 2; again++) {
        size_t head = ends[again ? 2 : 1], from = ends[again ? 0 : 2];
        mm_error error = {""};
        int64_t steps;
        mm_trace *t;
        memcpy(changed, whole, head);
        memcpy(changed + head, whole + from, size - from);
        fixture_rewrite(path, changed, head + size - from);
        assert_int_equal(read_steps(*state, 1, 3, 9, &steps, &error), MM_TROUBLE);
        assert_int_equal(steps, again ? 2 : 1);
        assert_non_null(strstr(error.text, "trace.jsonl.gz line "));
        assert_int_equal(mm_trace_open(*state, MM_LEVEL_STEP, 3, &t, &error), MM_TROUBLE);
    }
    free(changed);
    free(whole);
}

// Behind a step's gzip member, a member of its own: sums are right, the text is not.
static void a_zero_byte_in_a_line_is_damage(void **state) {
    static const char line[] =
        "{\"step\":2,\"op\":\"merge\",\"io\":\"out\",\"tensor\":\"a\0b\",\"shape\":[]}\n";
    char path[FIXTURE_PATH], plain[FIXTURE_PATH], command[3 * FIXTURE_PATH];
    mm_error error = {""};
    int64_t steps;
    write_steps(*state, MM_LEVEL_STEP, 0, 1, 9);
    fixture_write(fixture_path(plain, *state, "line"), line, sizeof line - 1);
    snprintf(command, sizeof command, "gzip -c '%s' >>'%s'", plain,
             fixture_path(path, *state, "trace.jsonl.gz"));
    assert_int_equal(system(command), 0);
    assert_int_equal(read_steps(*state, 1, 1, 9, &steps, &error), MM_TROUBLE);
    assert_int_equal(steps, 1);
    assert_non_null(strstr(error.text, "trace.jsonl.gz line 11: found a zero byte"));
}

// mm writes a header where a run goes on, and no more.
static void a_flood_of_headers_is_damage(void **state) {
    static const char head[] = "{\"format\":\"mm-trace\",\"version\":1,\"level\":\"step\"}\n";
    enum { MANY = 300 };
    static char text[MANY * sizeof head];
    char path[FIXTURE_PATH];
    mm_error error;
    mm_trace_reader *r;
    const char *line;
    size_t size = 0, length;
    for (int i = 0; i < MANY; i++, size += sizeof head - 1) memcpy(text + size, head, sizeof head - 1);
    fixture_rewrite(fixture_path(path, *state, "trace.jsonl.gz"), text, size);
    assert_int_equal(mm_trace_reader_open(*state, &r, &error), MM_OK);
    assert_int_equal(mm_trace_reader_line(r, &line, &length, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "more headers in a row"));
    mm_trace_reader_close(r);
}

static void a_header_of_another_kind_is_refused(void **state) {
    static const struct {
        const char *header, *word;
    } cases[] = {{"{\"format\":\"mm-trace\",\"version\":2,\"level\":\"step\"}\n", "\"version\""},
                 {"{\"format\":\"mm-traces\",\"version\":1,\"level\":\"step\"}\n", "mm-traces"},
                 {"{\"format\":\"mm-trace\",\"version\":1,\"level\":\"steps\"}\n", "\"level\""},
                 {"{\"format\":\"mm-trace\",\"version\":1,\"level\":\"step\",\"after\":0}\n", "\"after\""},
                 {"{\"version\":1,\"level\":\"step\"}\n", "\"format\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[FIXTURE_PATH];
        mm_error error = {""};
        mm_trace_reader *r;
        const char *line;
        size_t length;
        fixture_rewrite(fixture_path(path, *state, "trace.jsonl.gz"), cases[i].header,
                        strlen(cases[i].header));
        mm_status status = mm_trace_reader_open(*state, &r, &error);
        if (!status) {
            status = mm_trace_reader_line(r, &line, &length, &error);
            mm_trace_reader_close(r);
        }
        assert_int_equal(status, MM_TROUBLE);
        assert_non_null(strstr(error.text, "trace.jsonl.gz"));
        assert_non_null(strstr(error.text, cases[i].word));
    }
}

// Sums and JSON are right; a member of the record is not there, or of another kind.
static void a_record_without_one_of_its_members_is_damage(void **state) {
    static const char head[] = "{\"format\":\"mm-trace\",\"version\":1,\"level\":\"step\"}\n",
                      record[] = "{\"step\":1,\"op\":\"norm\",\"io\":\"out\",\"tensor\":\"a\",\"shape\":[2],"
                                 "\"xxh128\":\"0123456789abcdef0123456789abcdef\"}\n";
    static const char *const changes[][2] = {
        {"\"op\"", "\"no\""},
        {"\"io\"", "\"no\""},
        {"\"tensor\"", "\"no\""},
        {"\"shape\"", "\"no\""},
        {"\"xxh128\"", "\"no\""},
        {"\"norm\"", "5"},
        {"\"out\"", "5"},
        {"\"out\"", "\"output\""},
        {"\"a\"", "null"},
        {"[2]", "[-2]"},
        {"[2]", "[1,1,1,1,1]"},
        {"[2]", "{}"},
        {"\"0123", "\"0123a"},
        {"\"op\"", "\"pass\":\"\",\"op\""},
        {"\"op\"", "\"leaf\":-1,\"op\""},
        {"\"op\"", "\"node\":[1],\"op\""},
        {"\"op\"", "\"node\":[41,0],\"op\""},
        {"\"op\"", "\"node\":[40,1],\"op\""},
        {"\"op\"", "\"node\":[0,1099511627776],\"op\""},
        {"\"op\"", "\"leaf\":1099511627776,\"op\""},
        {"\"op\"", "\"leaf\":00,\"op\""},
        {"\"a\"", "\"a\xff\""},
    };
    char path[FIXTURE_PATH], text[sizeof head + sizeof record + 64];
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *at = strstr(record, changes[i][0]);
        assert_non_null(at);
        int size = snprintf(text, sizeof text, "%s%.*s%s%s", head, (int)(at - record), record, changes[i][1],
                            at + strlen(changes[i][0]));
        fixture_rewrite(fixture_path(path, *state, "trace.jsonl.gz"), text, (size_t)size);
        mm_error error = {""};
        mm_trace_steps *steps;
        mm_trace_step step = {0};
        assert_int_equal(mm_trace_steps_open(*state, &steps, &error), MM_OK);
        assert_int_equal(mm_trace_steps_next(steps, &step, &error), MM_OK);
        if (!mm_trace_step_parse(&step, "steps", &error)) fail_msg("%s: taken", changes[i][1]);
        assert_non_null(strstr(error.text, "steps: step 1, record 1: "));
        mm_trace_step_free(&step);
        mm_trace_steps_close(steps);
    }
}

// The trace is turned off and on and made finer from one --resume to the next; the lines say so.
static void levels_change_where_a_run_goes_on(void **state) {
    mm_error error;
    mm_trace *t;
    mm_trace_reader *r;
    write_steps(*state, MM_LEVEL_STEP, 0, 2, 3);
    mm_trace_close(open_trace(*state, MM_LEVEL_OFF, 2));
    mm_trace_close(open_trace(*state, MM_LEVEL_OFF, 4));
    write_steps(*state, MM_LEVEL_OP, 5, 6, 3);
    write_steps(*state, MM_LEVEL_OP, 6, 7, 3);
    assert_int_equal(mm_trace_reader_open(*state, &r, &error), MM_OK);
    static const int64_t steps[] = {1, 2, 6, 7};
    mm_trace_step found = {0};
    for (int i = 0; i < 12; i++) {
        mm_trace_record expected = record_of(steps[i / 3], i % 3);
        bool more;
        if (next_record(r, &found, &more, &error)) fail_msg("%s", error.text);
        assert_true(more);
        assert_record(found.records, &expected);
        assert_int_equal(mm_trace_reader_level(r), i < 6 ? MM_LEVEL_STEP : MM_LEVEL_OP);
    }
    mm_trace_step_free(&found);
    mm_trace_reader_close(r);
    // What is missing without such a word was cut.
    assert_int_equal(mm_trace_open(*state, MM_LEVEL_OP, 9, &t, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "ends after step 7"));
}

static void a_trace_can_begin_with_a_later_step(void **state) {
    write_steps(*state, MM_LEVEL_STEP, 30, 32, 4);
    assert_steps(*state, 31, 32, 4);
    write_steps(*state, MM_LEVEL_STEP, 31, 33, 4);
    assert_steps(*state, 31, 33, 4);
}

static void a_trace_that_begins_after_the_checkpoint_is_left_as_it_is(void **state) {
    mm_trace *t;
    mm_error error;
    for (int level = MM_LEVEL_OFF; level <= MM_LEVEL_STEP; level++) {
        fixture_remove(state);
        assert_int_equal(fixture_folder(state), 0);
        mm_trace_close(open_trace(*state, (mm_level)level, 8));
        assert_int_equal(mm_trace_open(*state, MM_LEVEL_STEP, 5, &t, &error), MM_TROUBLE);
        assert_non_null(strstr(error.text, "begins after step 8"));
        mm_trace_close(open_trace(*state, (mm_level)level, 8));
    }
}

static void a_full_disk_leaves_whole_steps(void **state) {
    char path[FIXTURE_PATH];
    struct rlimit old, limit;
    size_t before, after;
    mm_error error;
    mm_trace *t = open_trace(*state, MM_LEVEL_STEP, 0);
    add_step(t, 1, 50);
    free(read_trace(*state, path, &before));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = old;
    limit.rlim_cur = before + 100;
    mm_trace_list list = {0};
    for (int i = 0; i < 50; i++) {
        mm_trace_record r = record_of(2, i);
        mm_trace_list_add(&list, &r);
    }
    mm_trace_add(t, &list, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    mm_status status = mm_trace_end_step(t, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, MM_TROUBLE);
    assert_non_null(strstr(error.text, "trace.jsonl.gz: cannot write to it"));
    free(read_trace(*state, path, &after));
    assert_int_equal(after, before);
    mm_trace_list_free(&list);
    mm_trace_close(t);
    assert_steps(*state, 1, 1, 50);
}

static void what_stands_in_the_way_is_named(void **state) {
    char path[FIXTURE_PATH];
    mm_trace *t;
    mm_trace_reader *r;
    mm_error error;
    assert_int_equal(mm_trace_reader_open(*state, &r, &error), MM_TROUBLE);
    assert_null(r);
    assert_int_equal(mkdir(fixture_path(path, *state, "trace.jsonl.gz"), 0777), 0);
    assert_int_equal(mm_trace_open(*state, MM_LEVEL_STEP, 0, &t, &error), MM_TROUBLE);
    assert_null(t);
    assert_non_null(strstr(error.text, "trace.jsonl.gz"));
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_folder, fixture_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(records_come_back),
        IN_FOLDER(lines_are_as_the_documentation_says_and_zcat_reads_them),
        IN_FOLDER(whole_steps_survive_a_cut_anywhere),
        IN_FOLDER(a_changed_bit_is_refused_or_says_nothing),
        IN_FOLDER(a_large_step_is_whole_or_not_there),
        IN_FOLDER(a_step_that_is_packed_too_tightly_is_refused),
        IN_FOLDER(a_step_out_of_order_is_damage),
        IN_FOLDER(a_zero_byte_in_a_line_is_damage),
        IN_FOLDER(a_flood_of_headers_is_damage),
        IN_FOLDER(a_header_of_another_kind_is_refused),
        IN_FOLDER(a_record_without_one_of_its_members_is_damage),
        IN_FOLDER(levels_change_where_a_run_goes_on),
        IN_FOLDER(a_trace_can_begin_with_a_later_step),
        IN_FOLDER(a_trace_that_begins_after_the_checkpoint_is_left_as_it_is),
        IN_FOLDER(a_full_disk_leaves_whole_steps),
        IN_FOLDER(what_stands_in_the_way_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// A trace: read by line, by step, against itself, cut back to a step and read again. An input is a mode,
// which is also the step, and the file, or its lines, which are compressed.
#include "fuzz.h"

#include <mm/record/trace_step.h>
#include <stdlib.h>
#include <string.h>

// A line has at most 64 KiB, of which Jansson makes 80 times as many; readers hold a step whole, and deflate
// makes at most 1032 bytes of one.
enum { RAW = 16, STEPS = 15, MEMORY = 8 << 20, MEMORY_FACTOR = 4096 };
static const char name[] = "trace.jsonl.gz";

typedef struct found {
    mm_status status;
    int64_t records, last;
} found;

static found read_lines(const char *run) {
    static const char key[] = "{\"step\":";
    mm_error error;
    mm_trace_reader *reader;
    const char *line;
    size_t size;
    found f = {0};
    f.status = mm_trace_reader_open(run, &reader, &error);
    while (!f.status) {
        f.status = mm_trace_reader_line(reader, &line, &size, &error);
        if (f.status || !line) break;
        fuzz_assert(strlen(line) == size && strncmp(line, key, sizeof key - 1) == 0);
        int64_t step = strtoll(line + sizeof key - 1, NULL, 10);
        fuzz_assert(step >= f.last);
        f.records++;
        f.last = step;
    }
    mm_trace_reader_close(reader);
    if (f.status) fuzz_said(f.status, &error, name);
    return f;
}

static void check_records(const mm_trace_step *step) {
    for (size_t i = 0; i < step->count; i++) {
        const mm_trace_record *r = &step->records[i];
        fuzz_assert(r->step == step->step && r->operation && r->tensor);
        fuzz_assert(r->dims >= 0 && r->dims <= MM_MAX_DIMS);
        fuzz_assert(r->leaf >= -1 && r->node_level >= -1 && r->rank >= -1 && r->layer >= -1);
    }
}

// A step has no records that differ from its own.
static void compare_with_itself(const mm_trace_step *step) {
    mm_error error;
    mm_trace_pairs pairs;
    fuzz_assert(mm_trace_step_compare(step, step, NULL, true, true, &pairs, &error) == MM_OK);
    fuzz_assert(pairs.count == 0);
    mm_trace_pairs_free(&pairs);
    (void)mm_trace_step_level(step);
    (void)mm_trace_step_find(step, "adamw", "model.norm.weight");
}

static found read_steps(const char *run) {
    mm_error error;
    mm_trace_steps *steps;
    mm_trace_step step = {0};
    found f = {0};
    f.status = mm_trace_steps_open(run, &steps, &error);
    fuzz_assert(f.status || steps);
    while (!f.status) {
        f.status = mm_trace_steps_next(steps, &step, &error);
        if (f.status || !step.step) break;
        fuzz_assert(step.step > f.last);
        f.last = step.step;
        f.status = mm_trace_step_parse(&step, mm_trace_steps_path(steps), &error);
        if (f.status) break;
        f.records += (int64_t)step.count;
        check_records(&step);
        compare_with_itself(&step);
    }
    mm_trace_step_free(&step);
    mm_trace_steps_close(steps);
    if (f.status) fuzz_said(f.status, &error, name);
    return f;
}

static void cut(const char *run, int64_t keep, found whole) {
    mm_error error;
    mm_trace *trace;
    mm_status status = mm_trace_open(run, MM_LEVEL_STEP, keep, &trace, &error);
    if (status) {
        fuzz_said(status, &error, name);
        return;
    }
    mm_trace_close(trace);
    found left = read_lines(run);
    fuzz_assert(left.last <= keep);
    if (!whole.status) fuzz_assert(!left.status && left.records <= whole.records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char run[FUZZ_PATH];
    if (size < 1) return 0;
    fuzz_piece rest = {(const char *)data + 1, size - 1};
    if (data[0] & RAW)
        fuzz_put(name, rest);
    else
        fuzz_put_gzip(name, rest);
    fuzz_path(run, ".");
    fuzz_memory_begin();
    found lines = read_lines(run), steps = read_steps(run);
    // The reader of steps takes only what mm itself writes.
    if (!steps.status) fuzz_assert(!lines.status && steps.records == lines.records);
    cut(run, data[0] & STEPS, lines);
    fuzz_memory_end(MEMORY, MEMORY_FACTOR);
    return 0;
}

// metrics.jsonl, timing.jsonl and samples.jsonl of a run: read, cut back to a step, and read again. An input
// is a mode, which is also the step, and the three files.
#include "fuzz.h"

#include <mm/record/metrics.h>
#include <mm/record/samples.h>

// A line has at most 4096 bytes, of which Jansson makes 80 times as many.
enum { STEPS = 15, MEMORY = 1 << 20, MEMORY_FACTOR = 100 };

// The rows of metrics.jsonl, numbered from 1; -1 if it is damaged.
static int64_t count_rows(const char *run) {
    mm_error error;
    mm_metrics_reader *reader;
    mm_metrics_row row;
    int64_t rows = 0;
    bool more = true;
    mm_status status = mm_metrics_reader_open(run, &reader, &error);
    while (!status && more) {
        status = mm_metrics_reader_next(reader, &row, &more, &error);
        if (status || !more) break;
        fuzz_assert(row.step == ++rows && row.tokens >= 0);
    }
    mm_metrics_reader_close(reader);
    if (!status) return rows;
    fuzz_said(status, &error, "metrics.jsonl");
    return -1;
}

static void cut_metrics(const char *run, int64_t keep, int64_t rows) {
    mm_error error;
    mm_metrics *metrics;
    mm_status status = mm_metrics_open(run, keep, &metrics, &error);
    if (status) {
        fuzz_said(status, &error, ".jsonl");
        return;
    }
    fuzz_assert(rows < 0 || rows >= keep);
    const mm_metrics_row row = {.step = keep + 1, .loss = 1.5, .tokens = 7};
    const mm_timing_row timing = {.step = keep + 1, .seconds = 0.5};
    fuzz_assert(mm_metrics_add(metrics, &row, &timing, &error) == MM_OK);
    fuzz_assert(mm_metrics_sync(metrics, &error) == MM_OK);
    mm_metrics_close(metrics);
    int64_t left = count_rows(run);
    fuzz_assert(left == (rows < 0 ? left : keep + 1));
}

static void cut_samples(const char *run, int64_t keep) {
    mm_error error;
    mm_samples *samples;
    mm_status status = mm_samples_open(run, keep, &samples, &error);
    if (status) {
        fuzz_said(status, &error, "samples.jsonl");
        return;
    }
    const mm_sample_row row = {keep + 1, "a\xff", "b", 2, 1};
    fuzz_assert(mm_samples_add(samples, &row, &error) == MM_OK);
    mm_samples_close(samples);
    // What was cut once is not cut again.
    fuzz_assert(mm_samples_open(run, keep + 1, &samples, &error) == MM_OK);
    mm_samples_close(samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"metrics.jsonl", "timing.jsonl", "samples.jsonl"};
    fuzz_piece pieces[3];
    char run[FUZZ_PATH];
    if (size < 1) return 0;
    int64_t keep = data[0] & STEPS;
    fuzz_split(data + 1, size - 1, pieces, 3);
    for (int i = 0; i < 3; i++) fuzz_put(names[i], pieces[i]);
    fuzz_path(run, ".");
    fuzz_memory_begin();
    cut_metrics(run, keep, count_rows(run));
    cut_samples(run, keep);
    fuzz_memory_end(MEMORY, MEMORY_FACTOR);
    return 0;
}

// A leaf's rows: equal to slices of the naive stream, without padding; token noise is the stream's
// definition.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fixture.h"
#include "packed.h"
#include <cmocka.h>
#include <mm/data/batch.h>
#include <stdlib.h>
#include <string.h>

static struct {
    mm_dataset *dataset;
    mm_dataset_cursor *cursor;
    int32_t *stream; // all tokens
} data;

static int open_data(void **state) {
    if (fixture_folder(state)) return -1;
    static const packed_text texts[] = {
        {"The quick brown fox jumps over the lazy dog.", 44},
        {"", 0},
        {"x", 1},
        {"the river runs through the field, and the sun goes down over the brown river; dogs sleep.", 90},
        {"and on and on", 13},
    };
    mm_tokenizer *tokenizer = packed_tokenizer();
    char path[FIXTURE_PATH];
    packed_pack(*state, "data", texts, 5, tokenizer, &(mm_pack_options){.shard_tokens = 20}, NULL);
    mm_tokenizer_close(tokenizer);
    mm_error error;
    mm_status status = mm_dataset_open(fixture_path(path, *state, "data"), &data.dataset, &error);
    if (!status) status = mm_dataset_cursor_new(data.dataset, &data.cursor, &error);
    if (status) fail_msg("%s", error.text);
    uint64_t tokens = mm_dataset_tokens(data.dataset);
    data.stream = malloc(tokens * sizeof *data.stream);
    assert_non_null(data.stream);
    assert_true(mm_dataset_shards(data.dataset) > 1);
    return mm_dataset_read(data.cursor, 0, (int64_t)tokens, data.stream, NULL);
}

static int close_data(void **state) {
    free(data.stream);
    mm_dataset_cursor_free(data.cursor);
    mm_dataset_close(data.dataset);
    return fixture_remove(state);
}

static mm_batch open_batch(int samples, int64_t seq_len, mm_arena *arena) {
    mm_batch batch;
    mm_arena measure = mm_arena_measure();
    mm_batch_place(&batch, samples, seq_len, &measure);
    assert_int_equal(mm_arena_open(arena, measure.used, NULL), MM_OK);
    mm_batch_place(&batch, samples, seq_len, arena);
    return batch;
}

static mm_plan make_plan(mm_packing packing, int64_t seq_len, bool shuffled) {
    mm_plan plan;
    assert_int_equal(mm_plan_make(&plan, data.dataset, packing, seq_len, shuffled, 5, NULL), MM_OK);
    return plan;
}

// The inputs and targets of sample `index` by the words of the specification; rows.
static int64_t naive_sample(const mm_plan *plan, uint64_t index, int32_t *inputs, int32_t *targets) {
    uint64_t tokens = mm_dataset_tokens(data.dataset);
    int64_t rows = 0;
    if (plan->packing == MM_PACKING_WINDOW) {
        for (uint64_t i = index * (uint64_t)plan->seq_len; rows < plan->seq_len && i + 1 < tokens;
             i++, rows++) {
            inputs[rows] = data.stream[i];
            targets[rows] = data.stream[i + 1];
        }
        return rows;
    }
    // bos, at most T - 1 of the document's own tokens, eos; a row for each but the eos.
    uint64_t begin = index ? mm_dataset_document_end(data.dataset, index - 1) : 0;
    uint64_t end = mm_dataset_document_end(data.dataset, index);
    inputs[rows++] = mm_dataset_bos(data.dataset);
    for (uint64_t i = begin + 1; i + 1 < end && rows < plan->seq_len; i++) {
        targets[rows - 1] = data.stream[i];
        inputs[rows++] = data.stream[i];
    }
    targets[rows - 1] = mm_dataset_eos(data.dataset);
    return rows;
}

static void check_sample(const mm_batch *batch, int i, const mm_plan *plan, uint64_t index) {
    int32_t inputs[512], targets[512];
    int64_t rows = naive_sample(plan, index, inputs, targets);
    assert_int_equal(batch->starts[i + 1] - batch->starts[i], rows);
    assert_memory_equal(batch->inputs + batch->starts[i], inputs, (size_t)rows * sizeof *inputs);
    assert_memory_equal(batch->targets + batch->starts[i], targets, (size_t)rows * sizeof *targets);
}

static void leaves_hold_the_naive_samples(void **state) {
    (void)state;
    enum { SAMPLES = 3 };
    for (int packing = 0; packing < 2; packing++)
        for (int64_t seq_len = 1; seq_len <= 80; seq_len++) {
            mm_arena arena;
            mm_batch batch = open_batch(SAMPLES, seq_len, &arena);
            mm_plan plan = make_plan((mm_packing)packing, seq_len, true);
            // Two epochs and more, so that a leaf crosses an epoch's end.
            for (uint64_t p = 0; p < 2 * plan.samples + 4; p += SAMPLES) {
                mm_error error;
                if (mm_batch_fill(&batch, &plan, data.cursor, p, SAMPLES, &error)) fail_msg("%s", error.text);
                assert_int_equal(batch.samples, SAMPLES);
                assert_int_equal(batch.starts[0], 0);
                assert_int_equal(batch.rows, batch.starts[SAMPLES]);
                for (int i = 0; i < SAMPLES; i++) {
                    assert_int_equal(batch.positions[i], p + (uint64_t)i);
                    check_sample(&batch, i, &plan, mm_plan_position(&plan, p + (uint64_t)i).index);
                }
            }
            mm_arena_close(&arena);
        }
}

static void evaluation_reads_samples_in_their_own_order(void **state) {
    (void)state;
    mm_arena arena;
    mm_batch batch = open_batch(4, 9, &arena);
    mm_plan plan = make_plan(MM_PACKING_WINDOW, 9, true);
    for (uint64_t s = 0; s < plan.samples; s += 4) {
        int count = plan.samples - s < 4 ? (int)(plan.samples - s) : 4;
        assert_int_equal(mm_batch_fill_ordered(&batch, &plan, data.cursor, s, count, NULL), MM_OK);
        assert_int_equal(batch.samples, count);
        for (int i = 0; i < count; i++) check_sample(&batch, i, &plan, s + (uint64_t)i);
    }
    mm_arena_close(&arena);
}

static void noise_is_its_streams_definition(void **state) {
    (void)state;
    enum { SAMPLES = 4, T = 65, COUNT = 5 }; // a stream has room for a multiple of 64 words
    static const int32_t ordinary[COUNT] = {1003, 1005, 1017, 1100, 1299};
    mm_arena arena;
    mm_batch batch = open_batch(SAMPLES, T, &arena), before;
    mm_plan plan = make_plan(MM_PACKING_WINDOW, T, true);
    mm_draw draws[SAMPLES];
    for (int i = 0; i < SAMPLES; i++)
        draws[i] = (mm_draw){.key = 1337, .word2 = 12, .word3 = 3, .sample = (uint64_t)i};
    const double rates[] = {0.0, 0.25, 0.999};
    for (int r = 0; r < 3; r++) {
        assert_int_equal(mm_batch_fill(&batch, &plan, data.cursor, 2, SAMPLES, NULL), MM_OK);
        int32_t inputs[SAMPLES * T], targets[SAMPLES * T];
        before = batch;
        memcpy(inputs, batch.inputs, (size_t)batch.rows * sizeof *inputs);
        memcpy(targets, batch.targets, (size_t)batch.rows * sizeof *targets);
        mm_batch_noise(&batch, draws, rates[r], T, ordinary, COUNT);
        assert_memory_equal(&batch, &before, sizeof batch);
        assert_memory_equal(batch.targets, targets, (size_t)batch.rows * sizeof *targets);
        int changed = 0;
        for (int i = 0; i < SAMPLES; i++) {
            mm_stream stream = mm_stream_of(&draws[i], MM_PURPOSE_TOKEN_NOISE, 0, 2 * T);
            for (int64_t row = 0; row < batch.starts[i + 1] - batch.starts[i]; row++) {
                int64_t at = batch.starts[i] + row;
                bool drawn = (double)mm_stream_word(&stream, 2 * (uint64_t)row) < rates[r] * 4294967296.0;
                uint32_t word = mm_stream_word(&stream, 2 * (uint64_t)row + 1);
                int32_t expected = drawn ? ordinary[(uint64_t)word * COUNT >> 32] : inputs[at];
                assert_int_equal(batch.inputs[at], expected);
                changed += drawn;
            }
        }
        // 260 rows or fewer: with 0.25 far from none and from all.
        if (r == 0) assert_int_equal(changed, 0);
        if (r == 1) assert_in_range(changed, 25, 110);
    }
    mm_arena_close(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_hold_the_naive_samples),
        cmocka_unit_test(evaluation_reads_samples_in_their_own_order),
        cmocka_unit_test(noise_is_its_streams_definition),
    };
    return cmocka_run_group_tests(tests, open_data, close_data);
}

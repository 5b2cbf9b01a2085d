#include <mm/data/batch.h>

#include <assert.h>
#include <mm/base/philox.h>
#include <string.h>

void mm_batch_place(mm_batch *batch, int samples, int64_t seq_len, mm_arena *arena) {
    assert(samples >= 1 && seq_len >= 1);
    size_t count = (size_t)samples, bytes = ((size_t)seq_len + 1) * sizeof(int32_t);
    *batch = (mm_batch){
        .starts = mm_arena_take(arena, count + 1, sizeof *batch->starts),
        .inputs = mm_arena_take(arena, count, bytes),
        .targets = mm_arena_take(arena, count, bytes),
        .positions = mm_arena_take(arena, count, sizeof *batch->positions),
    };
}

// Reads the sample's rows and one token more, which the next sample's first input replaces.
static mm_status append(mm_batch *batch, const mm_plan *plan, mm_dataset_cursor *cursor, mm_sample sample,
                        mm_error *error) {
    int32_t *inputs = batch->inputs + batch->rows, *targets = batch->targets + batch->rows;
    mm_status status = mm_dataset_read(cursor, sample.first, sample.rows + 1, inputs, error);
    if (status) return status;
    memcpy(targets, inputs + 1, (size_t)sample.rows * sizeof *targets);
    if (sample.closed) targets[sample.rows - 1] = mm_dataset_eos(plan->dataset);
    batch->rows += sample.rows;
    batch->starts[++batch->samples] = batch->rows;
    return MM_OK;
}

static void clear(mm_batch *batch) {
    batch->samples = 0;
    batch->rows = 0;
    batch->starts[0] = 0;
}

mm_status mm_batch_fill(mm_batch *batch, const mm_plan *plan, mm_dataset_cursor *cursor, uint64_t first,
                        int samples, mm_error *error) {
    clear(batch);
    for (int i = 0; i < samples; i++) {
        uint64_t position = first + (uint64_t)i;
        batch->positions[i] = position;
        mm_status status = append(batch, plan, cursor, mm_plan_position(plan, position), error);
        if (status) return status;
    }
    return MM_OK;
}

mm_status mm_batch_fill_ordered(mm_batch *batch, const mm_plan *plan, mm_dataset_cursor *cursor,
                                uint64_t first, int samples, mm_error *error) {
    clear(batch);
    for (int i = 0; i < samples; i++) {
        uint64_t index = first + (uint64_t)i;
        batch->positions[i] = index;
        mm_status status = append(batch, plan, cursor, mm_plan_sample(plan, index), error);
        if (status) return status;
    }
    return MM_OK;
}

void mm_batch_noise(mm_batch *batch, const mm_draw *draws, double p, int64_t seq_len, const int32_t *ordinary,
                    int64_t count) {
    assert(p >= 0.0 && p < 1.0 && count >= 1 && count <= UINT32_MAX);
    uint32_t threshold = mm_dropout_threshold(p);
    if (!threshold) return;
    for (int i = 0; i < batch->samples; i++) {
        mm_stream stream = mm_stream_of(&draws[i], MM_PURPOSE_TOKEN_NOISE, 0, 2 * (uint64_t)seq_len);
        int32_t *inputs = batch->inputs + batch->starts[i];
        uint64_t rows = (uint64_t)(batch->starts[i + 1] - batch->starts[i]);
        for (uint64_t row = 0; row < rows; row++) {
            if (mm_stream_word(&stream, 2 * row) >= threshold) continue;
            uint64_t which = mm_stream_word(&stream, 2 * row + 1);
            inputs[row] = ordinary[which * (uint64_t)count >> 32];
        }
    }
}

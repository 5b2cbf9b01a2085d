// The tokens of one leaf: its samples' real rows one after another, without padding. One thread's.
#ifndef MM_DATA_BATCH_H
#define MM_DATA_BATCH_H

#include <mm/base/arena.h>
#include <mm/base/rng.h>
#include <mm/data/plan.h>

typedef struct mm_batch {
    int samples;
    int64_t rows;        // of all samples
    int64_t *starts;     // samples + 1: sample i has rows starts[i] to starts[i + 1] - 1
    int32_t *inputs;     // rows
    int32_t *targets;    // rows
    uint64_t *positions; // samples: its position in the endless sequence
} mm_batch;

// Room for `samples` samples of T rows (one token more each, for reading), the arena's; works over a
// measuring arena.
void mm_batch_place(mm_batch *batch, int samples, int64_t seq_len, mm_arena *arena);

// Fills it with positions [first, first + samples) of the endless sequence.
MM_CHECKED mm_status mm_batch_fill(mm_batch *batch, const mm_plan *plan, mm_dataset_cursor *cursor,
                                   uint64_t first, int samples, mm_error *error);
// The same with samples first.. of the plan in their own order (evaluation).
MM_CHECKED mm_status mm_batch_fill_ordered(mm_batch *batch, const mm_plan *plan, mm_dataset_cursor *cursor,
                                           uint64_t first, int samples, mm_error *error);

// Token noise: each input becomes, with probability p, a uniform id that is not special. `draws` holds one
// for each sample; `ordinary` are the `count` ids that may be drawn. Targets stay.
void mm_batch_noise(mm_batch *batch, const mm_draw *draws, double p, int64_t seq_len, const int32_t *ordinary,
                    int64_t count);

#endif

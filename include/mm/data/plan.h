// Which sample stands at which position, and how many tokens it has: nothing is read or stored.
#ifndef MM_DATA_PLAN_H
#define MM_DATA_PLAN_H

#include <mm/base/choices.h>
#include <mm/data/dataset.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct mm_plan {
    const mm_dataset *dataset; // must live as long
    mm_packing packing;
    int64_t seq_len;  // T: most rows of a sample
    bool shuffled;    // else sequential
    uint64_t seed;    // base seed: the order is the same for all ranks
    uint64_t samples; // N, at least 1
} mm_plan;

// Trouble if the data gives no sample (fewer than 2 tokens; a document is never shorter).
MM_CHECKED mm_status mm_plan_make(mm_plan *plan, const mm_dataset *dataset, mm_packing packing,
                                  int64_t seq_len, bool shuffled, uint64_t seed, mm_error *error);

// One sample: `rows` inputs from token `first` on, targets one further; with `closed` (a document cut to T
// rows) the last target is eos instead.
typedef struct mm_sample {
    uint64_t index; // 0..N-1
    uint64_t first;
    int64_t rows;
    bool closed;
} mm_sample;

mm_sample mm_plan_sample(const mm_plan *plan, uint64_t index);
// The sample at position p of the endless sequence.
mm_sample mm_plan_position(const mm_plan *plan, uint64_t position);
// Targets of positions [first, first + count).
int64_t mm_plan_targets(const mm_plan *plan, uint64_t first, int64_t count);

#endif

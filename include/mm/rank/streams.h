// Which random numbers a rank draws: the knowledge that the project is named for (design: Random streams).
#ifndef MM_RANK_STREAMS_H
#define MM_RANK_STREAMS_H

#include <mm/base/choices.h>
#include <mm/base/rng.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What is drawn, in the order that run.json and mm seeds list it; the last, what --sample-every writes, moves
// no weight.
typedef struct mm_stream_purpose {
    const char *name;
    mm_purpose purpose;
    bool of_rank; // else the same for all ranks, as it must be
    bool repeats; // drawn again each epoch
} mm_stream_purpose;
enum { MM_STREAM_PURPOSES = 7 };
extern const mm_stream_purpose mm_stream_purposes[MM_STREAM_PURPOSES];

// The key of a rank's streams by the policy (mm/base/choices.h); under `sample` the same for all ranks. A
// change raises MM_STREAMS_VERSION.
uint64_t mm_rank_key(mm_seed_policy policy, uint64_t seed, int rank);

typedef struct mm_listed_stream {
    const char *purpose;
    int rank; // -1: one stream for all ranks, or under the policy sample for all samples
    uint64_t key;
} mm_listed_stream;
// Stream `i` of a seed, of at most MM_STREAM_PURPOSES * ranks, by purposes and then by ranks; false behind
// the last.
bool mm_stream_listed(mm_seed_policy policy, uint64_t seed, int ranks, size_t i, mm_listed_stream *out);
// In words, for people: "each rank draws its own masks from base seed + rank". Static.
const char *mm_seed_policy_words(mm_seed_policy policy);

// Where sample number `sample` of leaf `leaf_in_rank` of `rank` draws at `step`; `position` is its place in
// the endless sequence (policy sample).
mm_draw mm_rank_draw(mm_seed_policy policy, uint64_t seed, int rank, int64_t step, int64_t leaf_in_rank,
                     int sample, uint64_t position);

#endif

// Why a run does not repeat: faults that are tried out on the step, each proven by the run's own hashes.
// Private to src/*.c.
#ifndef MM_SRC_DIFF_GUESS_H
#define MM_SRC_DIFF_GUESS_H

#include "diff.h"
#include "replay.h"

// Weights and optimizer state before a step.
typedef struct diff_state {
    float *floats; // weights, m, v; NULL: not kept
    size_t count;  // of each
    int64_t step;
    int64_t tokens;
} diff_state;
// Without memory nothing is kept.
void diff_state_take(diff_state *state, const mm_replay *replay);
void diff_state_put(const diff_state *state, mm_replay *replay);
void diff_state_free(diff_state *state);

// `replay` has run the step; exactly one of the runs has its records. Fills replay's guess.
void diff_guess(const diffing *d, mm_replay *replay, const diff_state *before, diff_replay *found);

// What the guesses look at.
typedef struct guessing {
    const diffing *d;
    mm_replay *replay;
    const diff_state *before;
    bool odd_is_b; // the run that does not repeat
    diff_replay *found;
} guessing;
// The differing records, of the run that does not repeat; the other's with `repeats`. Both have each of them.
const mm_trace_record *guess_record(const guessing *g, size_t pair, bool repeats);
const char *guess_run(const guessing *g); // "A" or "B"
__attribute__((format(printf, 3, 4))) void guess_say(const guessing *g, mm_cause cause, const char *format,
                                                     ...);

// Numbers of a tensor whose every bit is tried; and of a rank's, whose sum is made again for each.
enum { GUESS_FLIPS = 4096, GUESS_SUM_FLIPS = 2048 };
void guess_flip(float *number, int bit);

// Each says something only if it is proven. src/diff_guess_leaf.c: samples and streams; diff_guess_sum.c:
// leaves and ranks added otherwise; diff_guess_update.c: the update.
void guess_samples(const guessing *g);
void guess_streams(const guessing *g);
void guess_sums(const guessing *g);
void guess_update(const guessing *g);

#endif

// Where two runs part, and why (design: Trace and diff). It may replay steps, and what replay.h says of a
// process holds.
#ifndef MM_RUN_DIFF_H
#define MM_RUN_DIFF_H

#include <mm/record/diff.h>
#include <mm/run/replay.h>

// The first that applies, by what the difference is.
typedef enum mm_cause {
    MM_CAUSE_NONE,
    MM_CAUSE_DAMAGE,
    MM_CAUSE_WEIGHTS,
    MM_CAUSE_DATA,
    MM_CAUSE_SEED,
    MM_CAUSE_CONFIGURATION,
    MM_CAUSE_CODE,
    MM_CAUSE_HARDWARE,
    MM_CAUSE_REDUCTION,
    MM_CAUSE_OPTIMIZER,
    MM_CAUSE_UNKNOWN
} mm_cause;
const char *mm_cause_name(mm_cause cause);

typedef struct mm_distance_row {
    int64_t step;
    double loss;                   // |B - A|, nats
    bool known;                    // both have a checkpoint of the step
    mm_tensor_distance parameters; // in the weights' own unit
} mm_distance_row;

typedef struct mm_diff_options {
    bool no_replay;
    mm_replay_watch watch;
} mm_diff_options;

// A text that does not fit its array is cut.
typedef struct mm_diff_result {
    bool same;
    mm_run_facts a, b;
    mm_facts_diff facts;      // what differs before the first step
    int64_t steps_a, steps_b; // where they end
    bool parted;              // a record differs: `first`
    mm_place first;
    mm_cause cause;
    char what[2048];           // names the option, tensor, document or file
    char sentence[4096];       // all of it for a tired engineer
    char replayed[1024];       // what running the step again showed; "": it was not run
    mm_distance_row *distance; // a few steps at which losses or checkpoints differ
    size_t distances;
} mm_diff_result;

// MM_OK also if they differ. Trouble: a file cannot be read, or nothing can be compared. `options` is not
// NULL. Free the result with mm_diff_result_free; after trouble it is {0}.
MM_CHECKED mm_status mm_diff(const char *run_a, const char *run_b, const mm_diff_options *options,
                             mm_diff_result *result, mm_error *error);
void mm_diff_result_free(mm_diff_result *result);

#endif

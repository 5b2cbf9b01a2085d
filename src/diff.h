// What mm_diff holds while it looks. Private to src/*.c.
#ifndef MM_SRC_DIFF_H
#define MM_SRC_DIFF_H

#include <mm/run/diff.h>

// Everything, for where the stage of the first difference is not known.
enum { DIFF_ANY_STAGE = MM_STAGE_BATCH | MM_STAGE_LEAF | MM_STAGE_MERGE | MM_STAGE_UPDATE };

// The step at which the runs part.
typedef struct diff_parting {
    int64_t step;       // 0: they do not
    mm_trace_step a, b; // its records; step 0: not traced
    mm_trace_pairs pairs;
    const char *lacks;         // the run, "A" or "B", that has no record of the first place; NULL: both have
    bool has_row_a, has_row_b; // a run that was killed may have records of its last step and no row
    mm_metrics_row row_a, row_b;
    unsigned stages; // at which the first difference may have arisen
} diff_parting;

typedef struct diffing {
    const char *path_a, *path_b;
    const mm_diff_options *options;
    mm_side a, b;
    bool leaves;               // leaves of both hold the same samples
    bool validation;           // both were validated on the same tokens
    bool unsaved_a, unsaved_b; // stopped between the last row and its checkpoint
    diff_parting parting;
    mm_metrics_row rate_a,
        rate_b;           // the first whose learning rates alone differ, and moved nothing; step 0: none
    char data_words[160]; // where the data differ
    int64_t parted_loss;  // the first step at which the losses differ; 0: none
    mm_diff_result *result;
} diffing;

// What running the step again showed.
typedef struct diff_replay {
    bool ran; // at least one was run
    bool ran_a, ran_b;
    bool repeats_a, repeats_b; // this machine makes the run's own records of the step
    char why_not[1024];        // why one was not run
    char guess[1024]; // what explains the run that does not repeat, proven by its hashes; "": nothing
    mm_cause guessed; // the kind that goes with it
} diff_replay;

// src/diff.c. The stage of a step that a record belongs to.
unsigned diff_stage_of(const mm_trace_record *record);
bool diff_same_bits(double a, double b);
// src/diff_replay.c. Does a fact that may change bits explain a difference of these stages?
const mm_fact *diff_explaining(const diffing *d, mm_fact_kind kind);
// Have both a checkpoint of the step, with the same weights and optimizer state?
bool diff_same_checkpoint(const diffing *d, int64_t step);
// Runs the step again where that tells more; refines result->first.
MM_CHECKED mm_status diff_run_again(diffing *d, diff_replay *replay, mm_error *error);
// src/diff_cause.c. Cause, what and sentence.
MM_CHECKED mm_status diff_explain(diffing *d, const diff_replay *replay, mm_error *error);
// src/diff_rate.c. Has each row the rate that its run's settings give? MM_DIFFERS names the one that has not.
MM_CHECKED mm_status diff_check_rates(const diffing *d, mm_error *error);
// Do these rates, as floats, make the same update?
bool diff_same_update(const diffing *d);
// Where the update is the first difference: what the learning rates were, if they differ.
void diff_add_rates(const diffing *d, const char *before, const char *after, mm_text *out);
// src/diff_data.c. Looks whether data of two hashes hold other tokens: if not, they explain nothing.
void diff_weigh_data(diffing *d);
// Names the first sample or document that differs.
void diff_name_data(const diffing *d, mm_text *out);

#endif

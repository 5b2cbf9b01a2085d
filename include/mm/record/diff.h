// Two runs side by side, from their files alone: what differs before the first step, whether each run's files
// agree with one another, and how far the weights of two checkpoints are apart.
#ifndef MM_RECORD_DIFF_H
#define MM_RECORD_DIFF_H

#include <mm/record/metrics.h>
#include <mm/record/run.h>
#include <mm/record/trace_step.h>

// --- what differs before the first step

typedef enum mm_fact_kind {
    MM_FACT_DATA,
    MM_FACT_SEED,
    MM_FACT_OPTION,
    MM_FACT_CODE,
    MM_FACT_PLACE // where and how it ran, and under which names: never bits
} mm_fact_kind;

// The stages of a step at which a fact can first show, as bits.
enum { MM_STAGE_BATCH = 1, MM_STAGE_LEAF = 2, MM_STAGE_MERGE = 4, MM_STAGE_UPDATE = 8 };

typedef struct mm_fact_value {
    enum { MM_VALUE_NONE, MM_VALUE_INTEGER, MM_VALUE_NUMBER, MM_VALUE_SEED, MM_VALUE_TEXT } kind;
    int64_t integer;
    double number;
    uint64_t seed;
    char *text; // owned
} mm_fact_value;

typedef struct mm_fact {
    char key[64];
    mm_fact_kind kind;
    unsigned stages;
    bool may_change_bits; // of these two runs: ranks do not without dropout and noise
    int64_t from;         // the first step that it holds for; 0: it holds before step 1
    mm_fact_value a, b;
} mm_fact;

typedef struct mm_facts_diff {
    mm_fact *facts;
    size_t count;
    const char *initial; // the first initial tensor that differs, in shape or hash (owned by the runs'
                         // facts); NULL: none
} mm_facts_diff;

// Free `out` with mm_facts_diff_free; it is {0} after trouble. `a` and `b` must live as long.
MM_CHECKED mm_status mm_facts_compare(const mm_run_facts *a, const mm_run_facts *b, mm_facts_diff *out,
                                      mm_error *error);
// Adds to `diff`, which mm_facts_compare has filled, what differs between the programs that made the step, if
// --resume went on by another before it. `exact`: what they read agrees up to the step, so that programs of
// steps before explain nothing.
MM_CHECKED mm_status mm_facts_compare_step(const mm_run_facts *a, const mm_run_facts *b, int64_t step,
                                           bool exact, mm_facts_diff *diff, mm_error *error);
void mm_facts_diff_free(mm_facts_diff *diff);
// Significant decimal digits (9 to 17) at which the fact's two numbers print differently; 17 if they are the
// same.
int mm_fact_digits(const mm_fact *fact);
const mm_fact *mm_facts_find(const mm_facts_diff *diff, const char *key);

// --- one run, a step at a time, checked

// A run's files against one another: every call answers MM_DIFFERS, with a sentence that names the file,
// where they contradict each other (the run is damaged), and MM_TROUBLE where one cannot be read, as one that
// is damaged in itself. One thread's.
typedef struct mm_side {
    const char *path; // as it was given, and not copied
    mm_run_facts facts;
    mm_trace_steps *trace; // NULL: the run has none
    mm_metrics_reader *metrics;
    int64_t *checkpoints; // steps, ascending
    int checkpoint_count;
    mm_trace_step step; // the trace's step of mm_side_next, or (see mm_side_traced) a later one
    bool has_row;
    mm_metrics_row row;
    int64_t steps;           // seen in trace or metrics
    int64_t rows;            // and in the metrics: one less if the run was killed between the two
    int64_t tokens;          // up to them
    bool failed;             // the last step had a number that is not finite: the run stopped there
    mm_trace_record damaged; // of a contradiction: its place; step 0: none
    char damaged_tensor[160];
} mm_side;

// `path` must live as long. After trouble *side is closed.
MM_CHECKED mm_status mm_side_open(const char *path, mm_side *side, mm_error *error);
void mm_side_close(mm_side *side);
// Reads the next step from trace and metrics; *more false at their end.
MM_CHECKED mm_status mm_side_next(mm_side *side, bool *more, mm_error *error);
// Has the trace the records of this step?
bool mm_side_traced(const mm_side *side);
// Parses and checks what mm_side_next read.
MM_CHECKED mm_status mm_side_check(mm_side *side, mm_error *error);
// The checkpoint of this step: its own hashes, its place in the run, and every tensor against the records,
// the trace's or a replay's (NULL: none are known). A part of mm_side_check.
MM_CHECKED mm_status mm_side_check_checkpoint(mm_side *side, const mm_trace_step *records, mm_error *error);
// Did the run come to its end, or was it stopped before?
bool mm_side_ended(const mm_side *side);
// After the last step: does all end where it should? *unsaved: but for the last checkpoint, before which the
// run was stopped.
MM_CHECKED mm_status mm_side_end(const mm_side *side, bool *unsaved, mm_error *error);
bool mm_side_has_checkpoint(const mm_side *side, int64_t step);
// The newest checkpoint at or before `step`; 0: none, which is the beginning.
int64_t mm_side_checkpoint_before(const mm_side *side, int64_t step);

// --- a place in a run

// What people and programs are told of a record: -1 and "" do not apply. The layer of a parameter is told by
// its name.
typedef struct mm_place {
    int64_t step, leaf;
    int rank, layer;
    mm_pass pass;
    char operation[64], tensor[160];
} mm_place;
mm_place mm_place_of(const mm_trace_record *record);
// "in the backward pass of layer 1's up_proj on rank 2", as a piece of a sentence.
void mm_place_words(const mm_place *place, mm_text *out);

// --- how far apart

typedef struct mm_tensor_distance {
    double max_abs, rms; // over all parameters
    char tensor[160];    // that holds the greatest
} mm_tensor_distance;
// Of the parameters of two runs' checkpoints of one step. *known is false if they do not have the same
// tensors.
MM_CHECKED mm_status mm_checkpoint_distance(const char *run_a, const char *run_b, int64_t step, bool *known,
                                            mm_tensor_distance *out, mm_error *error);

#endif

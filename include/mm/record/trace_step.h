// A trace taken a step at a time, and two steps compared record by record. Memory is that of one step.
#ifndef MM_RECORD_TRACE_STEP_H
#define MM_RECORD_TRACE_STEP_H

#include <mm/base/text.h>
#include <mm/record/metrics.h>
#include <mm/record/trace.h>

// The records of one step; {0} is none. A record's strings lie in `text`.
typedef struct mm_trace_step {
    int64_t step;   // 0: none
    int64_t line;   // its first line in the file, from 1; 0: not from a file
    mm_level level; // of the trace at this step, by its header; MM_LEVEL_OFF: not from a file
    mm_text text;   // the lines, until they are parsed
    mm_trace_record *records;
    size_t count, capacity;
} mm_trace_step;
void mm_trace_step_free(mm_trace_step *step);

typedef struct mm_trace_steps mm_trace_steps;
// *steps is NULL if the run has no trace.jsonl.gz, and after trouble. One thread's.
MM_CHECKED mm_status mm_trace_steps_open(const char *run_path, mm_trace_steps **steps, mm_error *error);
void mm_trace_steps_close(mm_trace_steps *steps);
const char *mm_trace_steps_path(const mm_trace_steps *steps);
// Of the steps that follow; MM_LEVEL_OFF at the end of a trace that was turned off.
mm_level mm_trace_steps_level(const mm_trace_steps *steps);
// The next step's lines, not parsed; step->step is 0 at the end. Steps rise; some are left out where the
// trace was off.
MM_CHECKED mm_status mm_trace_steps_next(mm_trace_steps *steps, mm_trace_step *step, mm_error *error);
// Fills the records, whose strings are made within `text`: the lines are gone. They must be as the trace's
// writer makes them; `name` stands for the file in messages.
MM_CHECKED mm_status mm_trace_step_parse(mm_trace_step *step, const char *name, mm_error *error);

// Do both hold the same lines? Before they are parsed.
bool mm_trace_step_same(const mm_trace_step *a, const mm_trace_step *b);
// How much the step's records tell: MM_LEVEL_STEP, _LAYER or _OP.
mm_level mm_trace_step_level(const mm_trace_step *step);

// Two records of one place.
typedef struct mm_trace_pair {
    const mm_trace_record *a, *b; // b NULL: only `a` has it
} mm_trace_pair;
typedef struct mm_trace_pairs {
    mm_trace_pair *pairs; // in the order of the program
    size_t count;
    size_t compared; // places that both have
} mm_trace_pairs;
void mm_trace_pairs_free(mm_trace_pairs *pairs);
// The places whose records differ. Places that only one has are passed over (another level, other ranks), but
// those of the model's passes that only `a` has count as differing where both have one level, and with
// `whole` all that only `a` has. Without `leaves`, leaves and nodes below the root are passed over: they hold
// other samples. `row` (NULL: not known) is the step's line of the metrics: bits are promised of finite
// numbers, so where it ended its run the contents of what came of others are passed over too, since a NaN's
// sign is the CPU's.
MM_CHECKED mm_status mm_trace_step_compare(const mm_trace_step *a, const mm_trace_step *b,
                                           const mm_metrics_row *row, bool leaves, bool whole,
                                           mm_trace_pairs *out, mm_error *error);
// The record of a place that is the whole step's, as ("adamw", "model.norm.weight"); NULL if there is none.
const mm_trace_record *mm_trace_step_find(const mm_trace_step *step, const char *operation,
                                          const char *tensor);

#endif

// Steps of a run, run again from one of its checkpoints on this machine, at any level of trace; and a whole
// run against its trace (mm verify). Several replays may be open, but one works at a time: of training,
// replays, evaluation and generation of text a process does one at a time, since the profile and BLIS's
// kernel (BLIS_ARCH_TYPE) are the process's.
#ifndef MM_RUN_REPLAY_H
#define MM_RUN_REPLAY_H

#include <mm/record/diff.h>

// `doing` may be NULL and is called by the caller's thread; share 0..1, or negative: not known.
typedef struct mm_replay_watch {
    void *self;
    void (*doing)(void *self, const char *what, double share);
} mm_replay_watch;

typedef struct mm_replay mm_replay;
// Trouble: the run's data or initial model are gone or others, or another arithmetic or streams made it;
// *replay is NULL then. `validation`: opens its validation data too, for mm_replay_validate. `watch` is not
// NULL and is copied; watch->self must live as long as the replay.
MM_CHECKED mm_status mm_replay_open(const char *run_path, bool validation, const mm_replay_watch *watch,
                                    mm_replay **replay, mm_error *error);
void mm_replay_close(mm_replay *replay);
// To the run's checkpoint of `step`; 0: the initial weights, built again and checked by hash.
MM_CHECKED mm_status mm_replay_seek(mm_replay *replay, int64_t step, mm_error *error);
int64_t mm_replay_at(const mm_replay *replay);
// One step. `out` is filled with its records, parsed, unless level is MM_LEVEL_OFF; a step that is not finite
// is no trouble here: *finite is false, and the records go as far as it went.
MM_CHECKED mm_status mm_replay_step(mm_replay *replay, mm_level level, mm_trace_step *out,
                                    mm_metrics_row *row, bool *finite, mm_error *error);
// The validation loss at the replay's step. MM_DIFFERS: the run has no validation.
MM_CHECKED mm_status mm_replay_validate(mm_replay *replay, double *loss, mm_error *error);
// From where it is to the end of step `step`, without records.
MM_CHECKED mm_status mm_replay_go(mm_replay *replay, int64_t step, mm_error *error);

// Is what was replayed what the run did? The first record of the run that the replay does not have, or has
// otherwise, goes to *first (in `own`); where there is none, the first of the passes that at one level only
// the replay has (in `replayed`, and *lacks is true: the run's trace has it not); else NULL. Where `row`, the
// step's as replayed, is not finite, only what mm_trace_step_compare compares then; the caller compares the
// rows. NULL: all.
MM_CHECKED mm_status mm_replay_compare(const mm_trace_step *own, const mm_trace_step *replayed,
                                       const mm_metrics_row *row, const mm_trace_record **first, bool *lacks,
                                       mm_error *error);

typedef struct mm_verify_options {
    int64_t from;  // begins at the newest checkpoint at or before this step; 0: the beginning
    int64_t steps; // checks up to step from + steps; 0: up to the run's end
    mm_replay_watch watch;
} mm_verify_options;

typedef struct mm_verify_result {
    int64_t first, last; // steps that repeat: first..last; first > last: none
    int64_t traced;      // of them, steps whose records the trace has; metrics and checkpoints of the others
    bool unsaved;        // the run was stopped before its last checkpoint
    bool repeats;
    mm_place place; // else the first record that does not
    char what[2048];
} mm_verify_result;

// MM_OK also if the run does not repeat: see the result, of which nothing is to be freed. Trouble: it cannot
// be said. `options` is not NULL.
MM_CHECKED mm_status mm_verify(const char *run_path, const mm_verify_options *options,
                               mm_verify_result *result, mm_error *error);

#endif

// metrics.jsonl (nothing that a clock decides) and timing.jsonl, a line a step. Writer and reader are one
// thread's each.
#ifndef MM_RECORD_METRICS_H
#define MM_RECORD_METRICS_H

#include <mm/base/status.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct mm_metrics_row {
    int64_t step; // from 1
    double loss;  // nats, the mean over the step's targets, before the update
    double lr;
    double grad_norm; // of the merged gradient, the root of its squares' sum, before clipping
    int64_t tokens;   // targets of the step
    bool spoiled;     // the update made a number that is not finite: "nonfinite" holds "update"
    bool has_val;
    double val_loss; // nats, the mean over the validation data's targets, after the update
} mm_metrics_row;

typedef struct mm_timing_row {
    int64_t step;
    // Of the step without its validation, by a monotonic clock; its targets over them; the process, after it.
    double seconds, tokens_per_second, resident_bytes;
} mm_timing_row;

// Both files of the run directory have whole lines up to step `keep_steps` and may be written, so that
// mm_metrics_open will not refuse them. Nothing is written.
MM_CHECKED mm_status mm_metrics_check(const char *run_path, int64_t keep_steps, mm_error *error);
typedef struct mm_metrics mm_metrics;
// Opens both files of the run directory for appending, made if they are missing, and cuts them back, in
// place, to rows of steps up to `keep_steps` (0: a new run). A line that was cut in the middle is dropped.
// *metrics is NULL after trouble.
MM_CHECKED mm_status mm_metrics_open(const char *run_path, int64_t keep_steps, mm_metrics **metrics,
                                     mm_error *error);
// Writes both lines. Numbers that are not finite become null with "nonfinite": ["loss", ...].
MM_CHECKED mm_status mm_metrics_add(mm_metrics *metrics, const mm_metrics_row *row,
                                    const mm_timing_row *timing, mm_error *error);
// To the disk (before a checkpoint that relies on it).
MM_CHECKED mm_status mm_metrics_sync(mm_metrics *metrics, mm_error *error);
void mm_metrics_close(mm_metrics *metrics);

// Reading: rows in order; *more false at the end. A damaged line is trouble that names file and line.
typedef struct mm_metrics_reader mm_metrics_reader;
// *reader is NULL after trouble.
MM_CHECKED mm_status mm_metrics_reader_open(const char *run_path, mm_metrics_reader **reader,
                                            mm_error *error);
MM_CHECKED mm_status mm_metrics_reader_next(mm_metrics_reader *reader, mm_metrics_row *row, bool *more,
                                            mm_error *error);
void mm_metrics_reader_close(mm_metrics_reader *reader);

#endif

// samples.jsonl of a run: what the model says to a prompt, every so many steps. One object a line: step,
// prompt, text.
#ifndef MM_RECORD_SAMPLES_H
#define MM_RECORD_SAMPLES_H

#include <mm/base/status.h>
#include <stddef.h>
#include <stdint.h>

// One thread's.
typedef struct mm_samples mm_samples;

typedef struct mm_sample_row {
    int64_t step;
    const char *prompt, *text; // what is not UTF-8 becomes U+FFFD
    size_t prompt_size, text_size;
} mm_sample_row;

// The file, if there is one, has whole lines up to `keep_step` and may be written, so that mm_samples_open
// will not refuse it. Nothing is written.
MM_CHECKED mm_status mm_samples_check(const char *run_path, int64_t keep_step, mm_error *error);
// Opens the file in the run's folder, made if it is missing, and cuts it back to the lines of steps up to
// `keep_step`; a line that was cut off at the end of the file is dropped. *samples is NULL after trouble.
MM_CHECKED mm_status mm_samples_open(const char *run_path, int64_t keep_step, mm_samples **samples,
                                     mm_error *error);
// Writes a line, without an fsync.
MM_CHECKED mm_status mm_samples_add(mm_samples *samples, const mm_sample_row *row, mm_error *error);
void mm_samples_close(mm_samples *samples);

#endif

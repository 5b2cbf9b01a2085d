// Loss of a model over a dataset: every window of it once, in order, no dropout, the same bits for any
// workers.
#ifndef MM_RUN_EVAL_H
#define MM_RUN_EVAL_H

#include <mm/base/status.h>
#include <signal.h>
#include <stdint.h>

typedef struct mm_eval_result {
    double loss, perplexity;
    int64_t tokens; // targets counted
    double seconds;
} mm_eval_result;

// seq_len 0: 256. `progress` may be NULL: samples done of all. *stop (may be NULL) true: soon ends with
// MM_INTERRUPTED. Trouble if the model has a tokenizer and it is not the dataset's.
MM_CHECKED mm_status mm_eval(const char *model_path, const char *data_path, int64_t seq_len, int workers,
                             void (*progress)(void *self, uint64_t done, uint64_t total), void *self,
                             const volatile sig_atomic_t *stop, mm_eval_result *result, mm_error *error);

#endif

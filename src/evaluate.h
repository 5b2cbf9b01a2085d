// Losses of a plan's samples in their own order, whoever computes them: the same bits for any number of
// workers.
#ifndef MM_SRC_EVALUATE_H
#define MM_SRC_EVALUATE_H

#include <mm/data/batch.h>
#include <mm/model/model.h>
#include <signal.h>

// What one worker evaluates with. The batch needs room for one sample.
typedef struct mm_evaluator {
    mm_activations *activations;
    float *scratch; // mm_model_scratch
    mm_batch *batch;
    mm_dataset_cursor *cursor;
    const mm_probe *probe; // sees the model at work; NULL: nobody does
    mm_sample sample;      // that it is at
    mm_status status;      // of its part; a probe that sets it, with the error, ends it
    mm_error error;
} mm_evaluator;

// Fills sums[plan->samples] with each sample's loss and returns the mean over the targets. `progress` may be
// NULL; it is called by worker 0 now and then. *stop (may be NULL) true: soon ends with MM_INTERRUPTED.
MM_CHECKED mm_status mm_evaluate(const mm_model *model, const mm_plan *plan, mm_evaluator *evaluators,
                                 int workers, double *sums,
                                 void (*progress)(void *self, uint64_t done, uint64_t total), void *self,
                                 const volatile sig_atomic_t *stop, double *loss, int64_t *targets,
                                 mm_error *error);

#endif

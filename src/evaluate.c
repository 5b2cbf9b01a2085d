#include "evaluate.h"
#include "trainer.h"
#include <mm/base/par.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct evaluation {
    const mm_model *model;
    const mm_plan *plan;
    mm_evaluator *evaluators;
    double *sums;
    atomic_ullong next;
    void (*progress)(void *self, uint64_t done, uint64_t total);
    void *self;
    const volatile sig_atomic_t *stop;
} evaluation;

// One sample at a time, so that its loss does not depend on what stands beside it.
static void work_on_samples(void *self, int w) {
    evaluation *e = self;
    mm_evaluator *mine = &e->evaluators[w];
    mine->status = MM_OK;
    mm_member alone = {.team = &mm_team_alone, .scratch = mine->scratch};
    for (uint64_t i; (i = atomic_fetch_add(&e->next, 1)) < e->plan->samples;) {
        if (e->stop && *e->stop) {
            mine->status =
                mm_fail(&mine->error, MM_INTERRUPTED, "stopped while evaluating; no loss was taken");
            return;
        }
        mine->status = mm_batch_fill_ordered(mine->batch, e->plan, mine->cursor, i, 1, &mine->error);
        if (mine->status) return;
        mm_leaf leaf = {.samples = 1,
                        .rows = mine->batch->rows,
                        .starts = mine->batch->starts,
                        .inputs = mine->batch->inputs,
                        .targets = mine->batch->targets,
                        .seq_len = e->plan->seq_len};
        mine->sample = mm_plan_sample(e->plan, i);
        e->sums[i] = mm_model_loss(e->model, mine->activations, &leaf, mine->probe, &alone);
        if (mine->status) return;
        if (w == 0 && e->progress) e->progress(e->self, i + 1, e->plan->samples);
    }
}

mm_status mm_evaluate(const mm_model *model, const mm_plan *plan, mm_evaluator *evaluators, int workers,
                      double *sums, void (*progress)(void *self, uint64_t done, uint64_t total), void *self,
                      const volatile sig_atomic_t *stop, double *loss, int64_t *targets, mm_error *error) {
    evaluation e = {.model = model,
                    .plan = plan,
                    .evaluators = evaluators,
                    .sums = sums,
                    .progress = progress,
                    .self = self,
                    .stop = stop};
    mm_par_run(workers, work_on_samples, &e);
    for (int w = 0; w < workers; w++) {
        if (!evaluators[w].status) continue;
        if (error) *error = evaluators[w].error;
        return evaluators[w].status;
    }
    double sum = 0;
    *targets = 0;
    for (uint64_t i = 0; i < plan->samples; i++) {
        sum += sums[i];
        *targets += mm_plan_sample(plan, i).rows;
    }
    *loss = sum / (double)*targets;
    return MM_OK;
}

mm_status mm_trainer_validate(mm_trainer *t, double *loss, mm_error *error) {
    int workers = (int)mm_hosts(&t->settings);
    mm_evaluator *evaluators = calloc((size_t)workers, sizeof *evaluators);
    if (!evaluators) return mm_trouble(error, "evaluation: out of memory");
    for (int w = 0; w < workers; w++) {
        mm_worker *worker = &t->workers[w];
        evaluators[w] = (mm_evaluator){.activations = worker->activations,
                                       .scratch = worker->scratch,
                                       .batch = &worker->batch,
                                       .cursor = worker->val_cursor};
    }
    int64_t targets;
    mm_status status = mm_evaluate(&t->model, &t->val.plan, evaluators, workers, t->val_sums, NULL, NULL,
                                   NULL, loss, &targets, error);
    free(evaluators);
    return status;
}

// What people see of a run: the header, a line a step, what takes a while.
#include "trainer.h"
#include <mm/base/clock.h>
#include <mm/base/mathfn.h>
#include <mm/base/par.h>

void mm_report_doing(const mm_trainer *t, const char *what) {
    if (t->watch && t->watch->doing) t->watch->doing(t->watch->self, what, -1);
}

mm_timing_row mm_report_timing(const mm_metrics_row *row, double seconds) {
    return (mm_timing_row){.step = row->step,
                           .seconds = seconds,
                           .tokens_per_second = (double)row->tokens / seconds,
                           .resident_bytes = mm_resident_bytes()};
}

void mm_report_step(const mm_trainer *t, mm_pace *p, const mm_metrics_row *row, double seconds) {
    int64_t done = row->step - p->first;
    double weight = done < 10 ? 1.0 / (double)done : 0.1;
    p->recent += weight * (seconds - p->recent);
    if (!t->watch || !t->watch->step) return;
    int64_t left = t->settings.steps - row->step;
    double mean = (mm_clock_seconds() - p->began) / (double)done; // with evaluations and checkpoints
    mm_train_step shown = {.step = row->step,
                           .steps = t->settings.steps,
                           .loss = row->loss,
                           .grad_norm = row->grad_norm,
                           .lr = row->lr,
                           .has_val = row->has_val,
                           .val_loss = row->val_loss,
                           .seconds = seconds,
                           .tokens = row->tokens,
                           .tokens_per_second = (double)row->tokens / p->recent,
                           .seconds_left = done < 3 ? -1 : mean * (double)left};
    t->watch->step(t->watch->self, &shown);
}

void mm_report_header(const mm_trainer *t) {
    if (!t->watch || !t->watch->header) return;
    const mm_config *c = &t->model.config;
    const mm_settings *s = &t->settings;
    mm_train_header header = {.settings = s,
                              .run_path = mm_run_path(t->run),
                              .model_type = mm_model_kind_name(c->kind),
                              .parameters = t->model.parameters.numbers,
                              .hidden = c->hidden,
                              .layers = c->layers,
                              .heads = c->heads,
                              .kv_heads = c->kv_heads,
                              .head_dim = c->head_dim,
                              .intermediate = c->intermediate,
                              .vocab = c->vocab,
                              .data_path = s->data,
                              .val_path = t->val.dataset ? s->val_data : NULL,
                              .data_tokens = mm_dataset_tokens(t->train.dataset),
                              .data_documents = mm_dataset_documents(t->train.dataset),
                              .data_samples = t->train.plan.samples,
                              .cores = mm_par_cores(),
                              .leaves = t->leaves,
                              .gemm_kernel = mm_gemm_kernel(t->gemm),
                              .isa = mm_isa_name(t->kernels->isa),
                              .policy_words = mm_seed_policy_words((mm_seed_policy)s->seed_policy),
                              .memory_bytes = mm_trainer_bytes(t),
                              .start_loss = mm_log((double)c->vocab),
                              .resumed_step = t->step};
    t->watch->header(t->watch->self, &header);
}

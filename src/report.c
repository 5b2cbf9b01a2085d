// What people see of a run: the header, a line a step, what takes a while.
#include "trainer.h"
#include <mm/base/clock.h>
#include <mm/base/mathfn.h>
#include <mm/base/par.h>
#include <stdio.h>
#include <stdlib.h>

void mm_report_doing(const mm_trainer *t, const char *what) {
    if (t->watch && t->watch->doing) t->watch->doing(t->watch->self, what, -1);
}

mm_timing_row mm_report_timing(const mm_metrics_row *row, double seconds) {
    return (mm_timing_row){.step = row->step,
                           .seconds = seconds,
                           .tokens_per_second = (double)row->tokens / seconds,
                           .resident_bytes = mm_resident_bytes()};
}

// Guesses of what parts cost, which hold until the first of each was seen.
mm_pace mm_report_begin(const mm_trainer *t) {
    enum {
        FORWARD_SHARE = 3,  // of a step: backward makes two products for each of forward's
        SAMPLE_SECONDS = 1, // for 1e8 numbers: 64 tokens, each of which reads their 400 MB at 25 GB/s
        SAVE_BYTES_A_SECOND = 400000000 // hashed and written
    };
    const mm_settings *s = &t->settings;
    mm_pace p = {.first = t->step, .last = s->steps};
    double numbers = (double)t->model.parameters.floats;
    if (t->val.dataset && s->val_every) {
        double rows = (double)t->val.plan.samples * (double)s->seq_len;
        double step_rows = (double)(s->batch * s->seq_len);
        p.costs[MM_PACE_VALIDATION] =
            (mm_pace_cost){.every = s->val_every, .at_end = true, .steps = rows / step_rows / FORWARD_SHARE};
    }
    if (t->samples)
        p.costs[MM_PACE_SAMPLE] = (mm_pace_cost){
            .every = s->sample_every, .at_end = true, .seconds = SAMPLE_SECONDS * numbers / 1e8};
    p.costs[MM_PACE_SAVE] = (mm_pace_cost){
        .every = s->save_every, .at_end = true, .seconds = 3 * sizeof(float) * numbers / SAVE_BYTES_A_SECOND};
    mm_pace_begin(&p, mm_clock_seconds());
    return p;
}

void mm_report_step(const mm_trainer *t, const mm_pace *p, const mm_metrics_row *row, double seconds) {
    if (!t->watch || !t->watch->step) return;
    double left = mm_pace_left(p);
    mm_train_step shown = {.step = row->step,
                           .steps = t->settings.steps,
                           .loss = row->loss,
                           .grad_norm = row->grad_norm,
                           .lr = row->lr,
                           .has_val = row->has_val,
                           .val_loss = row->val_loss,
                           .seconds = seconds,
                           .tokens = row->tokens,
                           .tokens_per_second = mm_pace_tokens_per_second(p),
                           .seconds_left = left,
                           .seconds_whole = left < 0 ? -1 : mm_clock_seconds() - p->began + left};
    t->watch->step(t->watch->self, &shown);
}

// Who starts several by mpirun may take them for the ranks of one run. (A sweep may be started so, too.)
static void warn_of_processes(const mm_trainer *t) {
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *value = getenv(sizes[i]);
        long processes = value ? strtol(value, NULL, 10) : 0;
        if (processes < 2 || !t->watch->warning) continue;
        char sentence[256];
        snprintf(sentence, sizeof sentence,
                 "%ld processes were started (%s), and each trains a run of its own, since ranks are threads "
                 "here; for one data-parallel run of them: one process with --ranks %ld",
                 processes, sizes[i], processes);
        t->watch->warning(t->watch->self, sentence);
        return;
    }
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
                              .memory = t->memory,
                              .start_loss = mm_log((double)c->vocab),
                              .resumed_step = t->step,
                              .again = t->recalled && t->step == 0};
    t->watch->header(t->watch->self, &header);
    warn_of_processes(t);
}

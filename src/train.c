// Training, the list of its stages.
#include "generate_train.h"
#include "nonfinite.h"
#include "trainer.h"
#include <limits.h>
#include <mm/base/clock.h>
#include <mm/base/mathfn.h>
#include <mm/base/par.h>
#include <mm/optim/clip.h>
#include <mm/optim/schedule.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void doing(const mm_trainer *t, const char *what) {
    if (t->watch && t->watch->doing) t->watch->doing(t->watch->self, what, -1);
}

// One step: gradients of the leaves, merged by the tree; norm and clip; update; what is kept of it.
// MM_NONFINITE leaves the row and the trace of the step that failed, as far as it went.
mm_status mm_trainer_step(mm_trainer *t, mm_metrics_row *row, mm_error *error) {
    mm_partial sum;
    mm_status status = mm_step_gradients(t, &sum, error);
    if (status) return status;
    const mm_settings *s = &t->settings;
    double norm = mm_step_norm(t, sum.gradient);
    *row = (mm_metrics_row){
        .step = t->step + 1,
        .loss = sum.loss / (double)sum.targets,
        .grad_norm = norm,
        .lr = mm_schedule_lr((mm_schedule)s->schedule, s->lr, s->warmup, s->steps, t->step + 1),
        .tokens = sum.targets};
    t->lr = row->lr;
    t->scale = mm_clip_scale(norm, s->clip);
    if (isfinite(row->loss) && isfinite(norm)) {
        mm_step_update(t, sum.gradient);
        status = mm_nonfinite_update(t, error);
    } else {
        doing(t, "looking for the first number that is not finite");
        status = mm_nonfinite_gradients(t, &sum, error);
    }
    mm_tree_return(t->tree, sum.gradient);
    if (!status) {
        t->step++;
        t->tokens += sum.targets;
    }
    mm_status traced = mm_step_trace(t, status ? NULL : error);
    return status ? status : traced;
}

static bool due(int64_t step, int64_t every, int64_t last) {
    return every > 0 && (step % every == 0 || step == last);
}

// Speed over the last steps, and what is left of the run at that speed.
typedef struct pace {
    double recent; // seconds of a step, a running mean
    double began;
    int64_t first; // step before the first of this process
} pace;

static void report(const mm_trainer *t, pace *p, const mm_metrics_row *row, double seconds) {
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

static mm_timing_row timing_of(const mm_metrics_row *row, double seconds) {
    return (mm_timing_row){.step = row->step,
                           .seconds = seconds,
                           .tokens_per_second = (double)row->tokens / seconds,
                           .resident_bytes = mm_resident_bytes()};
}

static mm_status after_step(mm_trainer *t, pace *p, mm_metrics_row *row, double began,
                            mm_train_result *result, mm_error *error) {
    const mm_settings *s = &t->settings;
    double seconds = mm_clock_seconds() - began;
    mm_timing_row timing = timing_of(row, seconds);
    if (t->val.dataset && due(row->step, s->val_every, s->steps)) {
        doing(t, "evaluating");
        mm_status status = mm_trainer_validate(t, &row->val_loss, error);
        if (status) return status;
        row->has_val = result->has_val = true;
        result->val_loss = row->val_loss;
    }
    result->loss = row->loss;
    result->step = row->step;
    mm_status status = mm_metrics_add(t->metrics, row, &timing, error);
    report(t, p, row, seconds);
    if (status || !row->has_val || isfinite(row->val_loss)) return status;
    return mm_fail(error, MM_NONFINITE,
                   "step %lld: the validation loss is %g, though parameters and gradients are finite",
                   (long long)row->step, row->val_loss);
}

// A step that failed has its row too; the sentence in `error` stays.
static mm_status failed_step(mm_trainer *t, const mm_metrics_row *row, double began, mm_status status) {
    if (status != MM_NONFINITE) return status;
    mm_timing_row timing = timing_of(row, mm_clock_seconds() - began);
    mm_status kept = mm_metrics_add(t->metrics, row, &timing, NULL);
    (void)kept; // the number that is not finite is the trouble to report
    return status;
}

static mm_status run_steps(mm_trainer *t, const volatile sig_atomic_t *stop, mm_train_result *result,
                           mm_error *error) {
    const mm_settings *s = &t->settings;
    if (t->step >= s->steps) return MM_OK;
    mm_status status = mm_trainer_begin_samples(t, error);
    if (status) return status;
    pace p = {.began = mm_clock_seconds(), .first = t->step};
    while (t->step < s->steps) {
        double began = mm_clock_seconds();
        mm_metrics_row row;
        status = mm_trainer_step(t, &row, error);
        if (status) return failed_step(t, &row, began, status);
        status = after_step(t, &p, &row, began, result, error);
        if (!status) status = mm_trainer_sample(t, error);
        if (status) return status;
        result->interrupted = stop && *stop && t->step < s->steps;
        if (due(t->step, s->save_every, s->steps) || t->step == s->steps || result->interrupted) {
            doing(t, "saving");
            status = mm_trainer_save(t, error);
        }
        if (status) return status;
        if (result->interrupted)
            return mm_fail(error, MM_INTERRUPTED, "stopped after step %lld", (long long)t->step);
    }
    return MM_OK;
}

static void show_header(const mm_trainer *t) {
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

static mm_status finish(mm_trainer *t, mm_train_result *result, mm_status status) {
    if (t->run) {
        snprintf(result->run_path, sizeof result->run_path, "%s", mm_run_path(t->run));
        snprintf(result->model_path, sizeof result->model_path, "%.*s/model", PATH_MAX - 8,
                 mm_run_path(t->run));
    }
    mm_trainer_close_samples(t);
    mm_trainer_close(t);
    return status;
}

mm_status mm_train(const mm_settings *settings, int argc, char *const *argv, const mm_train_watch *watch,
                   const volatile sig_atomic_t *stop, mm_train_result *result, mm_error *error) {
    double began = mm_clock_seconds();
    mm_trainer t = {.watch = watch};
    *result = (mm_train_result){0};
    mm_status status = mm_settings_copy(&t.settings, settings, error);
    if (!status) status = mm_trainer_prepare(&t, error);
    if (!status) status = mm_trainer_open(&t, error);
    if (!status) status = mm_trainer_open_samples(&t, error);
    if (!status) status = mm_trainer_begin(&t, argc, argv, error);
    if (!status) show_header(&t);
    if (!status) status = run_steps(&t, stop, result, error);
    result->seconds = mm_clock_seconds() - began;
    return finish(&t, result, status);
}

mm_status mm_train_resume(const mm_settings *settings, const bool *given, const mm_train_watch *watch,
                          const volatile sig_atomic_t *stop, mm_train_result *result, mm_error *error) {
    double began = mm_clock_seconds();
    mm_trainer t = {.watch = watch};
    *result = (mm_train_result){0};
    mm_status status = mm_trainer_recall(&t, settings, given, error);
    if (!status) status = mm_trainer_open(&t, error);
    if (!status) status = mm_trainer_open_samples(&t, error);
    if (!status) status = mm_trainer_continue(&t, error);
    if (!status) show_header(&t);
    result->already_done = !status && t.step >= t.settings.steps;
    result->step = t.step;
    if (!status) status = run_steps(&t, stop, result, error);
    result->seconds = mm_clock_seconds() - began;
    return finish(&t, result, status);
}

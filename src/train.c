// Training, the list of its stages.
#include "generate_train.h"
#include "nonfinite.h"
#include "trainer.h"
#include <limits.h>
#include <math.h>
#include <mm/base/clock.h>
#include <mm/base/profile.h>
#include <mm/files/publish.h>
#include <mm/optim/clip.h>
#include <mm/optim/schedule.h>
#include <stdio.h>

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
        row->spoiled = status == MM_NONFINITE;
    } else {
        mm_report_doing(t, "looking for the first number that is not finite");
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

static mm_status after_step(mm_trainer *t, mm_pace *p, mm_metrics_row *row, double began,
                            mm_train_result *result, mm_error *error) {
    const mm_settings *s = &t->settings;
    double seconds = mm_clock_seconds() - began;
    mm_pace_step(p, row->tokens, mm_clock_seconds());
    mm_timing_row timing = mm_report_timing(row, seconds);
    if (t->val.dataset && due(row->step, s->val_every, s->steps)) {
        mm_report_doing(t, "evaluating");
        mm_profile_stage(MM_PROFILE_VALIDATION);
        mm_status status = mm_trainer_validate(t, &row->val_loss, error);
        mm_profile_stage(MM_PROFILE_OTHER);
        if (status) return status;
        mm_pace_mark(p, MM_PACE_VALIDATION, mm_clock_seconds());
        row->has_val = result->has_val = true;
        result->val_loss = row->val_loss;
    }
    result->loss = row->loss;
    result->step = row->step;
    mm_status status = mm_metrics_add(t->metrics, row, &timing, error);
    mm_report_step(t, p, row, seconds);
    mm_profile_mark(MM_PROFILE_METRICS, MM_PASS_NONE);
    if (status || !row->has_val || isfinite(row->val_loss)) return status;
    return mm_nonfinite_validation(t, row->val_loss, error);
}

// A step that failed has its row too; the sentence in `error` stays.
static mm_status failed_step(mm_trainer *t, const mm_metrics_row *row, double began, mm_status status) {
    if (status != MM_NONFINITE) return status;
    mm_timing_row timing = mm_report_timing(row, mm_clock_seconds() - began);
    mm_status kept = mm_metrics_add(t->metrics, row, &timing, NULL);
    (void)kept; // the number that is not finite is the trouble to report
    return status;
}

static mm_status save(mm_trainer *t, mm_pace *p, mm_error *error) {
    mm_report_doing(t, "saving");
    mm_profile_stage(MM_PROFILE_CHECKPOINT);
    mm_status status = mm_trainer_save(t, error);
    mm_profile_stage(MM_PROFILE_OTHER);
    mm_pace_mark(p, MM_PACE_SAVE, mm_clock_seconds());
    return status;
}

static mm_status sample(mm_trainer *t, mm_pace *p, mm_error *error) {
    if (!due(t->step, t->settings.sample_every, t->settings.steps)) return MM_OK;
    mm_profile_stage(MM_PROFILE_SAMPLES);
    mm_status status = mm_trainer_sample(t, error);
    mm_profile_stage(MM_PROFILE_OTHER);
    mm_pace_mark(p, MM_PACE_SAMPLE, mm_clock_seconds());
    return status;
}

static mm_status take_steps(mm_trainer *t, const volatile sig_atomic_t *stop, mm_train_result *result,
                            mm_error *error) {
    const mm_settings *s = &t->settings;
    mm_status status = mm_trainer_begin_samples(t, error);
    if (status) return status;
    mm_pace p = mm_report_begin(t);
    while (t->step < s->steps) {
        double began = mm_clock_seconds();
        mm_metrics_row row;
        status = mm_trainer_step(t, &row, error);
        if (status) return failed_step(t, &row, began, status);
        status = after_step(t, &p, &row, began, result, error);
        if (!status) status = sample(t, &p, error);
        if (status) return status;
        const bool stopping = stop && *stop && t->step < s->steps;
        if (due(t->step, s->save_every, s->steps) || t->step == s->steps || stopping)
            status = save(t, &p, error);
        if (status) return status;
        result->interrupted = stopping;
        if (stopping) return mm_fail(error, MM_INTERRUPTED, "stopped after step %lld", (long long)t->step);
    }
    return MM_OK;
}

static mm_status run_steps(mm_trainer *t, const volatile sig_atomic_t *stop, mm_train_result *result,
                           mm_error *error) {
    bool profiled = t->watch && t->watch->profile && t->step < t->settings.steps;
    if (!profiled) return take_steps(t, stop, result, error);
    mm_status status = mm_profile_start((int)t->settings.workers, error);
    if (status) return status;
    status = take_steps(t, stop, result, error);
    mm_profile_sum sum;
    mm_profile_stop(&sum);
    t->watch->profile(t->watch->self, &sum);
    return status;
}

static mm_status finish(mm_trainer *t, mm_train_result *result, mm_status status) {
    if (t->run) {
        snprintf(result->run_path, sizeof result->run_path, "%s", mm_run_path(t->run));
        snprintf(result->model_path, sizeof result->model_path, "%.*s/model", PATH_MAX - 8,
                 mm_run_path(t->run));
        const mm_settings *s = &t->settings;
        result->seq_len = s->seq_len;
        result->packing = (mm_packing)s->packing;
        const char *data = s->val_data && s->val_every ? s->val_data : s->data;
        if (mm_is_folder(data)) snprintf(result->data_path, sizeof result->data_path, "%s", data);
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
    if (!status) status = mm_trainer_prepare(&t, stop, error);
    if (!status) status = mm_trainer_open(&t, error);
    if (!status) status = mm_trainer_open_samples(&t, error);
    if (!status) status = mm_trainer_begin(&t, argc, argv, error);
    if (!status) mm_report_header(&t);
    if (!status) status = run_steps(&t, stop, result, error);
    result->seconds = mm_clock_seconds() - began;
    return finish(&t, result, status);
}

static mm_status go_on(mm_trainer *t, const volatile sig_atomic_t *stop, mm_train_result *result,
                       mm_error *error) {
    mm_status status = mm_trainer_open(t, error);
    if (!status) status = mm_trainer_open_samples(t, error);
    if (!status) status = mm_trainer_continue(t, error);
    if (status) return status;
    mm_report_header(t);
    result->step = t->step;
    result->ends_now = t->step == t->settings.steps;
    return run_steps(t, stop, result, error);
}

mm_status mm_train_resume(const mm_settings *settings, const bool *given, const mm_train_watch *watch,
                          const volatile sig_atomic_t *stop, mm_train_result *result, mm_error *error) {
    double began = mm_clock_seconds();
    mm_trainer t = {.watch = watch};
    *result = (mm_train_result){0};
    mm_status status = mm_trainer_recall(&t, settings, given, error);
    if (!status) status = mm_trainer_find_end(&t, &result->already_done, error);
    result->step = t.step;
    if (!status && !result->already_done) status = go_on(&t, stop, result, error);
    result->seconds = mm_clock_seconds() - began;
    return finish(&t, result, status);
}

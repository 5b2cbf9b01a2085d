// A run's steps, run again. Nothing is written.
#include "replay.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void replay_doing(const mm_replay *r, const char *what, double share) {
    if (r->watch.doing) r->watch.doing(r->watch.self, what, share);
}

bool replay_same_number(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0 || (!isfinite(a) && !isfinite(b));
}

static mm_status open_trainer(mm_replay *r, const char *run_path, bool validation, mm_error *error) {
    mm_trainer *t = &r->trainer;
    bool given[MM_SETTINGS_FIELDS] = {false};
    mm_settings settings = {.out = (char *)run_path};
    mm_status status = mm_trainer_recall(t, &settings, given, error);
    if (status) return status;
    t->replays = true;
    if (!validation) t->settings.val_every = 0; // it changes nothing else
    status = mm_trainer_check_versions(
        run_path, &r->facts, " and cannot run it again; use the mm that made it (\"build\" in run.json)",
        error);
    if (!status) status = mm_trainer_open(t, error);
    return status ? status : mm_trainer_check_same(t, &r->facts, error);
}

mm_status mm_replay_open(const char *run_path, bool validation, const mm_replay_watch *watch, mm_replay **out,
                         mm_error *error) {
    mm_replay *r = *out = calloc(1, sizeof *r);
    if (!r) return mm_trouble(error, "%s: out of memory", run_path);
    r->watch = *watch;
    replay_doing(r, "opening the data", -1);
    mm_status status = mm_run_read(run_path, &r->facts, error);
    if (!status) status = open_trainer(r, run_path, validation, error);
    if (!status) return MM_OK;
    mm_replay_close(r);
    *out = NULL;
    return status;
}

void mm_replay_close(mm_replay *r) {
    if (!r) return;
    mm_trainer_close(&r->trainer);
    mm_run_facts_free(&r->facts);
    free(r);
}

mm_status mm_replay_seek(mm_replay *r, int64_t step, mm_error *error) {
    mm_trainer *t = &r->trainer;
    mm_trace_close(t->trace);
    t->trace = NULL;
    if (step > t->settings.steps)
        return mm_trouble(
            error, "%s/" MM_CHECKPOINT ": goes beyond the %lld steps of run.json; one of the two was changed",
            t->settings.out, (long long)step, (long long)t->settings.steps);
    mm_status status = mm_trace_keep(&t->trace, error);
    if (status) return status;
    if (step) return mm_trainer_load(t, step, error);
    size_t bytes = t->model.parameters.floats * sizeof(float);
    memset(t->m, 0, bytes);
    memset(t->v, 0, bytes);
    t->step = t->tokens = 0;
    status = mm_trainer_initial_weights(t, error);
    return status ? status : mm_trainer_check_initial(t, &r->facts, error);
}

int64_t mm_replay_at(const mm_replay *r) {
    return r->trainer.step;
}

mm_status mm_replay_step(mm_replay *r, mm_level level, mm_trace_step *out, mm_metrics_row *row, bool *finite,
                         mm_error *error) {
    mm_trainer *t = &r->trainer;
    int64_t step = t->step + 1;
    t->settings.trace = level;
    mm_status status = mm_trainer_step(t, row, error);
    *finite = status != MM_NONFINITE;
    if (*finite && status) return status;
    if (level == MM_LEVEL_OFF) return MM_OK;
    mm_trace_take(t->trace, &out->text);
    out->step = step;
    return mm_trace_step_parse(out, "replay", error);
}

mm_status mm_replay_validate(mm_replay *r, double *loss, mm_error *error) {
    if (r->trainer.val.dataset) return mm_trainer_validate(&r->trainer, loss, error);
    return mm_fail(error, MM_DIFFERS,
                   "%s/metrics.jsonl: step %lld has a val_loss, but the run has no validation",
                   r->trainer.settings.out, (long long)r->trainer.step);
}

static mm_status refuse_nonfinite(const mm_replay *r, int64_t step, mm_error *error) {
    const char *run = r->trainer.settings.out;
    return mm_trouble(
        error,
        "%s: step %lld is not finite when run again, though the run went on after it; the run's "
        "files or this build differ from what made it: mm verify %s says where",
        run, (long long)step, run);
}

mm_status mm_replay_go(mm_replay *r, int64_t step, mm_error *error) {
    int64_t first = r->trainer.step;
    while (r->trainer.step < step) {
        char what[64];
        mm_metrics_row row;
        bool finite;
        snprintf(what, sizeof what, "running step %lld again", (long long)r->trainer.step + 1);
        replay_doing(r, what, (double)(r->trainer.step - first) / (double)(step - first));
        mm_status status = mm_replay_step(r, MM_LEVEL_OFF, NULL, &row, &finite, error);
        if (!status && !finite) status = refuse_nonfinite(r, row.step, error);
        if (status) return status;
    }
    return MM_OK;
}

mm_status mm_replay_compare(const mm_trace_step *own, const mm_trace_step *replayed,
                            const mm_metrics_row *row, const mm_trace_record **first, bool *lacks,
                            mm_error *error) {
    mm_trace_pairs pairs;
    *first = NULL;
    *lacks = false;
    mm_status status = mm_trace_step_compare(own, replayed, row, true, true, &pairs, error);
    // What the passes record and the run lacks: of one level only, since a replay may tell more.
    const bool agrees = !status && !pairs.count;
    if (agrees) status = mm_trace_step_compare(replayed, own, row, true, false, &pairs, error);
    if (status) return status;
    *lacks = agrees && pairs.count;
    if (pairs.count) *first = pairs.pairs[0].a;
    mm_trace_pairs_free(&pairs);
    return MM_OK;
}

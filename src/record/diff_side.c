// One run, a step at a time: its trace, metrics and checkpoints against one another.
#include "diff_whole.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <mm/files/publish.h>
#include <mm/record/checkpoint.h>
#include <mm/record/diff.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

// A run that is being trained has files that do not agree yet. The lock is asked for, shared, so that others
// who compare are not refused, and let go at once, so that no trainer is: one that starts later is not
// noticed.
static mm_status check_idle(const char *path, mm_error *error) {
    char lock[PATH_MAX];
    mm_status status = mm_path_join(lock, sizeof lock, path, "lock", error);
    if (status) return status;
    const int file = open(lock, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return MM_OK; // not there, or not ours to read: nobody can be asked
    const bool held = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(file);
    return held ? mm_trouble(error, "%s: is being trained; compare it when it ends", path) : MM_OK;
}

mm_status mm_side_open(const char *path, mm_side *side, mm_error *error) {
    *side = (mm_side){.path = path};
    mm_status status = mm_run_read(path, &side->facts, error);
    if (!status) status = check_idle(path, error);
    if (!status) status = mm_trace_steps_open(path, &side->trace, error);
    if (!status && !side->trace && side->facts.settings.trace != MM_LEVEL_OFF)
        status = mm_trouble(error, "%s/" MM_TRACE_NAME ": not there; run.json says that the run has a trace",
                            path);
    if (!status) status = mm_metrics_reader_open(path, &side->metrics, error);
    if (!status) status = mm_checkpoint_list(path, &side->checkpoints, &side->checkpoint_count, error);
    if (status) mm_side_close(side);
    return status;
}

void mm_side_close(mm_side *side) {
    mm_trace_step_free(&side->step);
    mm_trace_steps_close(side->trace);
    mm_metrics_reader_close(side->metrics);
    free(side->checkpoints);
    mm_run_facts_free(&side->facts);
    *side = (mm_side){0};
}

// The trace's next step waits in side->step until its turn: steps are left out where the trace was off.
static mm_status read_trace(mm_side *side, mm_error *error) {
    bool waits = side->step.step > side->steps;
    if (!side->trace || waits) return MM_OK;
    return mm_trace_steps_next(side->trace, &side->step, error);
}

// Trace and metrics end together, but for a run that was killed: it has a step in the trace before its line
// is in metrics.jsonl.
static mm_status check_ends(const mm_side *side, bool had_row, mm_error *error) {
    if (side->has_row && side->trace && side->step.step == 0 &&
        mm_trace_steps_level(side->trace) != MM_LEVEL_OFF)
        return mm_fail(error, MM_DIFFERS, "%s: ends after step %lld, metrics.jsonl goes on; it was cut",
                       mm_trace_steps_path(side->trace), (long long)side->steps);
    if (side->has_row || !side->step.step || (had_row && side->step.step == side->steps + 1)) return MM_OK;
    return mm_fail(error, MM_DIFFERS,
                   "%s/metrics.jsonl: ends before step %lld, the trace goes on to step %lld; it was cut",
                   side->path, (long long)side->steps + (had_row ? 1 : 0), (long long)side->step.step);
}

// Neither file goes beyond the end that run.json has.
static mm_status check_beyond(const mm_side *side, mm_error *error) {
    const long long steps = side->facts.settings.steps;
    if (side->steps <= steps) return MM_OK;
    if (side->has_row)
        return mm_fail(error, MM_DIFFERS,
                       "%s/metrics.jsonl: goes on to step %lld, expected the %lld steps of run.json; one of "
                       "the two files was changed",
                       side->path, (long long)side->steps, steps);
    return mm_fail(error, MM_DIFFERS,
                   "%s: goes on to step %lld, expected the %lld steps of run.json; one of the two files was "
                   "changed",
                   mm_trace_steps_path(side->trace), (long long)side->steps, steps);
}

mm_status mm_side_next(mm_side *side, bool *more, mm_error *error) {
    bool had_row = side->has_row || side->steps == 0;
    *more = false;
    mm_status status = mm_metrics_reader_next(side->metrics, &side->row, &side->has_row, error);
    if (!status) status = read_trace(side, error);
    if (!status) status = check_ends(side, had_row, error);
    if (status) return status;
    *more = side->has_row || side->step.step;
    if (!*more) return MM_OK;
    side->steps++;
    status = check_beyond(side, error);
    if (status || !side->has_row) return status;
    side->rows++;
    if (!__builtin_add_overflow(side->tokens, side->row.tokens, &side->tokens)) return MM_OK;
    return mm_fail(
        error, MM_DIFFERS,
        "%s/metrics.jsonl: the tokens up to step %lld are more than a run can have; it was changed",
        side->path, (long long)side->steps);
}

bool mm_side_traced(const mm_side *side) {
    return side->step.step && side->step.step == side->steps;
}

// Did the run stop at this step, whose loss or gradient is not finite? Its records go as far as it went.
static bool failed_here(const mm_side *side) {
    return side->has_row && !(isfinite(side->row.loss) && isfinite(side->row.grad_norm));
}

// --- one step

static bool has_targets(const mm_trace_step *step, int64_t tokens) {
    for (size_t i = 0; i < step->count; i++) {
        if (strcmp(step->records[i].tensor, "targets") != 0) continue;
        if (step->records[i].shape[0] > tokens) return false;
        tokens -= step->records[i].shape[0];
    }
    return tokens == 0;
}

static mm_status check_row(mm_side *side, mm_error *error) {
    const mm_metrics_row *row = &side->row;
    const mm_trace_record *norm = mm_trace_step_find(&side->step, "norm", "grad_norm");
    if (!mm_hash_equal(norm->hash, mm_hash_bytes(&row->grad_norm, sizeof row->grad_norm))) {
        side->damaged = *norm;
        return mm_fail(error, MM_DIFFERS,
                       "%s/metrics.jsonl: step %lld has grad_norm %.17g, which is not the norm of the trace; "
                       "one of the two "
                       "files was changed",
                       side->path, (long long)row->step, row->grad_norm);
    }
    if (has_targets(&side->step, row->tokens)) return MM_OK;
    return mm_fail(
        error, MM_DIFFERS,
        "%s/metrics.jsonl: step %lld has %lld tokens, which is not the number of the trace's targets; "
        "one of the two files was changed",
        side->path, (long long)row->step, (long long)row->tokens);
}

// By its settings the run was validated at this step. Where it ended is not known from them: it may have gone
// on.
static mm_status check_validated(const mm_side *side, mm_error *error) {
    const mm_run_facts *f = &side->facts;
    int64_t every = f->settings.val_every;
    bool must = side->has_row && !side->failed && f->val_data.path && every > 0 && side->steps % every == 0;
    if (!must || side->row.has_val) return MM_OK;
    return mm_fail(
        error, MM_DIFFERS,
        "%s/metrics.jsonl: step %lld has no val_loss, expected one by --val-every %lld of run.json; "
        "it was changed",
        side->path, (long long)side->steps, (long long)every);
}

mm_status mm_side_check(mm_side *side, mm_error *error) {
    mm_status status = MM_OK;
    const mm_metrics_row *row = &side->row;
    side->failed =
        failed_here(side) || (side->has_row && (row->spoiled || (row->has_val && !isfinite(row->val_loss))));
    if (mm_side_traced(side)) {
        status = mm_trace_step_parse(&side->step, mm_trace_steps_path(side->trace), error);
        if (!status) status = side_check_whole(side, failed_here(side), error);
        if (!status && side->has_row && !failed_here(side)) status = check_row(side, error);
    }
    if (!status) status = check_validated(side, error);
    if (status || !mm_side_has_checkpoint(side, side->steps)) return status;
    return mm_side_check_checkpoint(side, mm_side_traced(side) ? &side->step : NULL, error);
}

// --- the end

static mm_status check_link(const mm_side *side, int64_t newest, mm_error *error) {
    char link[PATH_MAX], target[PATH_MAX], expected[64];
    mm_status status = mm_path_join(link, sizeof link, side->path, "model", error);
    if (status) return status;
    ssize_t size = readlink(link, target, sizeof target - 1);
    if (size < 0 && errno == EINVAL)
        return mm_fail(error, MM_DIFFERS,
                       "%s: found no link, as a copy that follows links leaves it; remove it, --resume makes "
                       "the link again",
                       link);
    if (size < 0 && newest == 0) return MM_OK; // stopped before its first checkpoint
    if (size < 0)
        return mm_fail(error, MM_DIFFERS, "%s: not there; expected a link to the checkpoint of step %lld",
                       link, (long long)newest);
    target[size] = 0;
    snprintf(expected, sizeof expected, MM_CHECKPOINT, (long long)newest);
    if (newest && strcmp(target, expected) == 0) return MM_OK;
    return mm_fail(error, MM_DIFFERS,
                   "%s: leads to %s, the newest checkpoint that is there is of step %lld; one is missing",
                   link, target, (long long)newest);
}

bool mm_side_ended(const mm_side *side) {
    return side->failed || side->rows == side->facts.settings.steps;
}

// A kill between the last row and its checkpoint leaves files that agree but for that checkpoint.
static bool may_be_unsaved(const mm_side *side, int64_t newest) {
    int64_t every = side->facts.settings.save_every;
    return newest || every == 0 || every >= side->rows;
}

mm_status mm_side_end(const mm_side *side, bool *unsaved, mm_error *error) {
    int64_t newest = side->checkpoint_count ? side->checkpoints[side->checkpoint_count - 1] : 0;
    *unsaved = false;
    if (side->steps == 0)
        return mm_trouble(error, "%s: has no step yet; nothing can be compared", side->path);
    if (newest > side->rows)
        return mm_fail(
            error, MM_DIFFERS,
            "%s: has a checkpoint of step %lld, but metrics.jsonl ends after step %lld; it was cut",
            side->path, (long long)newest, (long long)side->rows);
    mm_status status = check_link(side, newest, error);
    if (status || side->failed || !mm_side_ended(side) || newest == side->rows) return status;
    *unsaved = may_be_unsaved(side, newest);
    if (*unsaved) return MM_OK;
    return mm_fail(error, MM_DIFFERS,
                   "%s/" MM_CHECKPOINT ": not there, though the run ended by that step; it was "
                   "removed, or --resume makes it again",
                   side->path, (long long)side->steps);
}

bool mm_side_has_checkpoint(const mm_side *side, int64_t step) {
    for (int i = 0; i < side->checkpoint_count; i++)
        if (side->checkpoints[i] == step) return true;
    return false;
}

int64_t mm_side_checkpoint_before(const mm_side *side, int64_t step) {
    int64_t found = 0;
    for (int i = 0; i < side->checkpoint_count && side->checkpoints[i] <= step; i++)
        found = side->checkpoints[i];
    return found;
}

// A run against its own trace.
#include "replay.h"
#include <stdio.h>

typedef struct verification {
    mm_side side;
    mm_replay *replay;
    mm_trace_step again; // the step as it is now
    mm_verify_result *result;
    int64_t start; // the checkpoint that it began with
    int64_t end;   // the last step to check
} verification;

static mm_status differs(verification *v, const mm_place *place, const char *what) {
    v->result->repeats = false;
    v->result->place = *place;
    snprintf(v->result->what, sizeof v->result->what, "%s", what);
    return MM_DIFFERS;
}

static mm_status record_differs(verification *v, const mm_trace_record *r, bool lacks) {
    mm_place place = mm_place_of(r);
    mm_text words = {0};
    mm_text_format(&words, "step %lld does not repeat: the first difference is ", (long long)r->step);
    mm_place_words(&place, &words);
    if (lacks) mm_text_add_string(&words, ", of which the trace has no record");
    mm_status status = differs(v, &place, words.failed ? "a step does not repeat" : words.data);
    mm_text_free(&words);
    return status;
}

// metrics.jsonl of the step, number by number.
static mm_status check_row(verification *v, const mm_metrics_row *again) {
    const mm_metrics_row *own = &v->side.row;
    char what[256];
    if (!v->side.has_row) return MM_OK;
    mm_place place = {.step = own->step, .leaf = -1, .rank = -1, .layer = -1};
    const struct {
        const char *name;
        double own, again;
    } numbers[] = {{"lr", own->lr, again->lr},
                   {"loss", own->loss, again->loss},
                   {"grad_norm", own->grad_norm, again->grad_norm},
                   {"tokens", (double)own->tokens, (double)again->tokens},
                   {"val_loss", own->val_loss, again->val_loss},
                   {"spoiled updates", own->spoiled, again->spoiled}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (replay_same_number(numbers[i].own, numbers[i].again)) continue;
        snprintf(place.operation, sizeof place.operation, "metrics");
        snprintf(place.tensor, sizeof place.tensor, "%s", numbers[i].name);
        snprintf(what, sizeof what,
                 "step %lld does not repeat: metrics.jsonl has %s %.17g, run again it is %.17g",
                 (long long)own->step, numbers[i].name, numbers[i].own, numbers[i].again);
        return differs(v, &place, what);
    }
    return MM_OK;
}

// One step again. Where the run has no records of it, its checkpoint is checked against the replay's.
static mm_status check_step(verification *v, mm_error *error) {
    mm_side *side = &v->side;
    bool traced = mm_side_traced(side), finite;
    mm_level level = traced ? mm_trace_step_level(&side->step) : MM_LEVEL_STEP;
    mm_metrics_row row;
    mm_status status = mm_replay_step(v->replay, level, &v->again, &row, &finite, error);
    const mm_trace_record *first = NULL;
    bool lacks = false;
    if (!status && traced)
        status =
            mm_replay_compare(&side->step, &v->again, side->has_row ? &row : NULL, &first, &lacks, error);
    if (status) return status;
    if (first) return record_differs(v, first, lacks);
    row.has_val = finite && side->has_row && side->row.has_val;
    if (row.has_val) status = mm_replay_validate(v->replay, &row.val_loss, error);
    if (!status) status = check_row(v, &row);
    if (status) return status;
    if (!finite) {
        v->end = side->steps;
        return MM_OK;
    }
    bool saved = !traced && mm_side_has_checkpoint(side, side->steps);
    return saved ? mm_side_check_checkpoint(side, &v->again, error) : MM_OK;
}

static void tell(const verification *v, int64_t step) {
    char what[96];
    int64_t run = v->side.facts.settings.steps, end = v->end < run ? v->end : run;
    if (step > v->start)
        snprintf(what, sizeof what, "running step %lld of %lld again", (long long)step, (long long)end);
    else
        snprintf(what, sizeof what, "reading step %lld", (long long)step);
    replay_doing(v->replay, what, end > v->start ? (double)(step - v->start) / (double)(end - v->start) : -1);
}

// Steps up to the checkpoint that it begins with are read, and their files checked against one another.
static mm_status check_steps(verification *v, mm_error *error) {
    for (;;) {
        bool more;
        mm_status status = mm_side_next(&v->side, &more, error);
        if (!status && !more) return mm_side_end(&v->side, &v->result->unsaved, error);
        if (!status) status = mm_side_check(&v->side, error);
        int64_t step = v->side.steps;
        tell(v, step);
        if (!status && step > v->start) status = check_step(v, error);
        if (status) return status;
        if (step > v->start) {
            v->result->last = step;
            v->result->traced += mm_side_traced(&v->side);
        }
        if (step >= v->end) return MM_OK;
    }
}

mm_status mm_verify(const char *run_path, const mm_verify_options *options, mm_verify_result *result,
                    mm_error *error) {
    verification v = {.result = result};
    *result = (mm_verify_result){.repeats = true};
    mm_error found = {0};
    mm_status status = mm_side_open(run_path, &v.side, error);
    if (status) return status;
    v.start = mm_side_checkpoint_before(&v.side, options->from);
    v.end = options->steps ? options->from + options->steps : INT64_MAX;
    result->first = v.start + 1;
    result->last = v.start;
    status = mm_replay_open(run_path, true, &options->watch, &v.replay, &found);
    if (!status) status = mm_replay_seek(v.replay, v.start, &found);
    if (!status) status = check_steps(&v, &found);
    if (status == MM_DIFFERS && result->repeats) { // the run's files contradict each other
        mm_trace_record none = {.step = v.side.steps, MM_TRACE_OF_STEP, .operation = "", .tensor = ""};
        mm_place place = mm_place_of(v.side.damaged.step ? &v.side.damaged : &none);
        differs(&v, &place, found.text);
    }
    if (status == MM_OK && result->last < result->first)
        status = mm_trouble(&found, "%s: ends at step %lld; there is nothing after it to run again", run_path,
                            (long long)v.side.steps);
    if (error && status != MM_DIFFERS) *error = found; // the result has what differs
    mm_trace_step_free(&v.again);
    mm_replay_close(v.replay);
    mm_side_close(&v.side);
    return status == MM_DIFFERS ? MM_OK : status;
}

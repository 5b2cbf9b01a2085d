// The step at which two runs part, run again on this machine.
#include "diff.h"
#include "diff_guess.h"
#include <limits.h>
#include <mm/record/checkpoint.h>
#include <stdio.h>

// One run's step again.
typedef struct rerun {
    mm_replay *replay;
    mm_trace_step step;
    mm_metrics_row row;
    bool ran;
} rerun;

const mm_fact *diff_explaining(const diffing *d, mm_fact_kind kind) {
    const mm_facts_diff *f = &d->result->facts;
    for (size_t i = 0; i < f->count; i++)
        if (f->facts[i].kind == kind && f->facts[i].may_change_bits &&
            (f->facts[i].stages & d->parting.stages))
            return &f->facts[i];
    return NULL;
}

static bool changes_anything(const mm_facts_diff *f) {
    for (size_t i = 0; i < f->count; i++)
        if (f->facts[i].may_change_bits && f->facts[i].kind != MM_FACT_CODE) return true;
    return f->initial != NULL;
}

// Is there anything that a replay tells and the files do not?
static bool worth_running(const diffing *d) {
    const diff_parting *p = &d->parting;
    if (!p->step || d->options->no_replay || d->result->facts.initial) return false;
    // Without records of the step, data that are read later would explain it as well.
    if (p->stages != DIFF_ANY_STAGE && diff_explaining(d, MM_FACT_DATA)) return false;
    bool explained = diff_explaining(d, MM_FACT_SEED) || diff_explaining(d, MM_FACT_OPTION);
    if (!explained) return true;
    bool fine = p->a.step && p->b.step && mm_trace_step_level(&p->a) == MM_LEVEL_OP &&
                mm_trace_step_level(&p->b) == MM_LEVEL_OP;
    return !fine && (p->stages & MM_STAGE_LEAF);
}

static void rerun_close(rerun *r) {
    mm_replay_close(r->replay);
    mm_trace_step_free(&r->step);
    *r = (rerun){0};
}

// From the run's own nearest checkpoint.
static mm_status run_side(const diffing *d, const mm_side *side, rerun *r, diff_state *before,
                          mm_error *error) {
    int64_t last = d->parting.step - 1;
    char what[64];
    bool finite;
    mm_status status = mm_replay_open(side->path, false, &d->options->watch, &r->replay, error);
    if (!status) status = mm_replay_seek(r->replay, mm_side_checkpoint_before(side, last), error);
    if (!status) status = mm_replay_go(r->replay, last, error);
    if (status) return status;
    snprintf(what, sizeof what, "running step %lld again, every operation", (long long)last + 1);
    if (d->options->watch.doing) d->options->watch.doing(d->options->watch.self, what, -1);
    if (before) diff_state_take(before, r->replay);
    status = mm_replay_step(r->replay, MM_LEVEL_OP, &r->step, &r->row, &finite, error);
    r->ran = !status;
    return status;
}

static bool same_row(const mm_metrics_row *a, const mm_metrics_row *b) {
    return replay_same_number(a->loss, b->loss) && replay_same_number(a->grad_norm, b->grad_norm) &&
           replay_same_number(a->lr, b->lr) && a->spoiled == b->spoiled;
}

// Does the step that was run again have the run's own records, or where there are none its own checkpoint?
static mm_status same_records(const diffing *d, const mm_side *side, const rerun *r, bool *out,
                              mm_error *error) {
    const diff_parting *p = &d->parting;
    const mm_trace_step *own = side == &d->a ? &p->a : &p->b;
    const mm_trace_record *first = NULL;
    mm_status status = MM_OK;
    if (own->step) {
        bool lacks;
        bool has_row = side == &d->a ? p->has_row_a : p->has_row_b;
        status = mm_replay_compare(own, &r->step, has_row ? &r->row : NULL, &first, &lacks, error);
    } else if (mm_side_has_checkpoint(side, p->step)) {
        mm_side then = *side; // as it was at that step
        then.steps = p->step;
        then.has_row = false;
        status = mm_side_check_checkpoint(&then, &r->step, error);
    }
    *out = !status && !first;
    return status == MM_DIFFERS ? MM_OK : status;
}

// And its line of the metrics?
static mm_status repeats(const diffing *d, const mm_side *side, const rerun *r, bool *out, mm_error *error) {
    const diff_parting *p = &d->parting;
    bool is_a = side == &d->a, has_row = is_a ? p->has_row_a : p->has_row_b;
    mm_status status = same_records(d, side, r, out, error);
    *out = *out && (!has_row || same_row(is_a ? &p->row_a : &p->row_b, &r->row));
    return status;
}

static void say_why_not(diff_replay *replay, const char *run, const mm_error *why) {
    if (!replay->why_not[0])
        snprintf(replay->why_not, sizeof replay->why_not, "run %s could not be run again: %.900s", run,
                 why->text);
}

// The first operation whose outputs differ while what came before agrees.
static mm_status refine(diffing *d, const rerun *a, const rerun *b, mm_error *error) {
    mm_trace_pairs pairs;
    mm_status status = mm_trace_step_compare(&a->step, &b->step, NULL, d->leaves, false, &pairs, error);
    if (status) return status;
    if (pairs.count) {
        d->result->first = mm_place_of(pairs.pairs[0].a);
        d->parting.lacks = NULL;
    }
    mm_trace_pairs_free(&pairs);
    return MM_OK;
}

// Both are the same program with the same settings on the same state, so one step stands for both.
static mm_status run_one(diffing *d, diff_replay *replay, mm_error *error) {
    const diff_parting *p = &d->parting;
    int64_t last = p->step - 1;
    bool second = mm_side_checkpoint_before(&d->b, last) > mm_side_checkpoint_before(&d->a, last);
    rerun r = {0};
    diff_state before = {0};
    mm_error why = {0};
    mm_status status = MM_OK;
    for (int attempt = 0; !r.ran && attempt < 2; attempt++, second = !second) {
        rerun_close(&r);
        if (run_side(d, second ? &d->b : &d->a, &r, &before, &why) != MM_OK)
            say_why_not(replay, second ? "B" : "A", &why);
    }
    if (r.ran) {
        replay->why_not[0] = 0;
        replay->ran = replay->ran_a = replay->ran_b = true;
        status = repeats(d, &d->a, &r, &replay->repeats_a, error);
        if (!status) status = repeats(d, &d->b, &r, &replay->repeats_b, error);
        if (!status && replay->repeats_a != replay->repeats_b) diff_guess(d, r.replay, &before, replay);
    }
    diff_state_free(&before);
    rerun_close(&r);
    return status;
}

static mm_status run_both(diffing *d, diff_replay *replay, mm_error *error) {
    rerun a = {0}, b = {0};
    mm_error why = {0};
    if (run_side(d, &d->a, &a, NULL, &why) != MM_OK) say_why_not(replay, "A", &why);
    mm_replay_close(a.replay); // one model at a time in memory
    a.replay = NULL;
    if (run_side(d, &d->b, &b, NULL, &why) != MM_OK) say_why_not(replay, "B", &why);
    mm_status status = MM_OK;
    replay->ran_a = a.ran;
    replay->ran_b = b.ran;
    replay->ran = a.ran || b.ran;
    if (a.ran) status = repeats(d, &d->a, &a, &replay->repeats_a, error);
    if (!status && b.ran) status = repeats(d, &d->b, &b, &replay->repeats_b, error);
    if (!status && a.ran && b.ran) status = refine(d, &a, &b, error);
    rerun_close(&a);
    rerun_close(&b);
    return status;
}

// --- where no records show the step

bool diff_same_checkpoint(const diffing *d, int64_t step) {
    char path[PATH_MAX];
    mm_checkpoint_state a, b;
    if (!mm_side_has_checkpoint(&d->a, step) || !mm_side_has_checkpoint(&d->b, step)) return false;
    if (mm_checkpoint_path(d->path_a, step, path, sizeof path, NULL)) return false;
    if (mm_checkpoint_state_read(path, &a, NULL)) return false;
    if (mm_checkpoint_path(d->path_b, step, path, sizeof path, NULL)) return false;
    if (mm_checkpoint_state_read(path, &b, NULL)) return false;
    return mm_hash_equal(a.model, b.model) && mm_hash_equal(a.optimizer, b.optimizer);
}

// The last checkpoint that both have with the same numbers; 0: the initial weights.
static int64_t common_checkpoint(const diffing *d, int64_t step) {
    while (step > 0 && !diff_same_checkpoint(d, step)) step = mm_side_checkpoint_before(&d->a, step - 1);
    return step;
}

static mm_status step_both(diffing *d, rerun *a, rerun *b, mm_trace_pairs *pairs, mm_error *error) {
    bool finite;
    char what[64];
    snprintf(what, sizeof what, "running step %lld of both again", (long long)mm_replay_at(a->replay) + 1);
    if (d->options->watch.doing) d->options->watch.doing(d->options->watch.self, what, -1);
    mm_status status = mm_replay_step(a->replay, MM_LEVEL_OP, &a->step, &a->row, &finite, error);
    if (!status) status = mm_replay_step(b->replay, MM_LEVEL_OP, &b->step, &b->row, &finite, error);
    if (!status) status = mm_trace_step_compare(&a->step, &b->step, NULL, d->leaves, false, pairs, error);
    return status;
}

// Without a trace the runs may have parted before their metrics did: both are run side by side until they do.
static mm_status walk_both(diffing *d, rerun *a, rerun *b, diff_replay *replay, mm_error *error) {
    diff_parting *p = &d->parting;
    int64_t from = common_checkpoint(d, p->step - 1);
    mm_status status = mm_replay_open(d->path_a, false, &d->options->watch, &a->replay, error);
    if (!status) status = mm_replay_open(d->path_b, false, &d->options->watch, &b->replay, error);
    if (!status) status = mm_replay_seek(a->replay, from, error);
    if (!status) status = mm_replay_seek(b->replay, from, error);
    bool parted = false;
    for (int64_t step = from + 1; !status && !parted && step <= p->step; step++) {
        mm_trace_pairs pairs;
        status = step_both(d, a, b, &pairs, error);
        if (status) return status;
        parted = pairs.count > 0;
        if (parted) d->result->first = mm_place_of(pairs.pairs[0].a);
        if (parted) p->stages = diff_stage_of(pairs.pairs[0].a);
        mm_trace_pairs_free(&pairs);
    }
    if (status || (parted && d->result->first.step < p->step)) return status;
    replay->ran = replay->ran_a = replay->ran_b = true;
    status = repeats(d, &d->a, a, &replay->repeats_a, error);
    return status ? status : repeats(d, &d->b, b, &replay->repeats_b, error);
}

static void run_untraced(diffing *d, diff_replay *replay) {
    rerun a = {0}, b = {0};
    mm_error why = {0};
    if (walk_both(d, &a, &b, replay, &why) != MM_OK)
        snprintf(replay->why_not, sizeof replay->why_not, "the runs could not be run again: %.900s",
                 why.text);
    rerun_close(&a);
    rerun_close(&b);
}

mm_status diff_run_again(diffing *d, diff_replay *replay, mm_error *error) {
    if (!worth_running(d)) return MM_OK;
    bool traced = d->parting.a.step && d->parting.b.step && d->parting.stages != DIFF_ANY_STAGE;
    if (!traced) {
        run_untraced(d, replay);
        return MM_OK;
    }
    // Other ranks keep other sums of the same bits.
    bool alike =
        d->a.facts.settings.ranks == d->b.facts.settings.ranks && !changes_anything(&d->result->facts);
    return alike ? run_one(d, replay, error) : run_both(d, replay, error);
}

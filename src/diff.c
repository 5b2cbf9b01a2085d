// Two runs side by side, in one pass over their files.
#include "diff.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *mm_cause_name(mm_cause cause) {
    static const char *const names[] = {"none",      "damage",        "weights", "data",
                                        "seed",      "configuration", "code",    "hardware",
                                        "reduction", "optimizer",     "unknown"};
    return names[cause];
}

void mm_diff_result_free(mm_diff_result *r) {
    mm_facts_diff_free(&r->facts);
    mm_run_facts_free(&r->a);
    mm_run_facts_free(&r->b);
    free(r->distance);
    *r = (mm_diff_result){0};
}

// --- distance

static bool power_of_two(int64_t n) {
    return (n & (n - 1)) == 0;
}

bool diff_same_bits(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool both_saved(const diffing *d, int64_t step) {
    return mm_side_has_checkpoint(&d->a, step) && mm_side_has_checkpoint(&d->b, step);
}

// Of the steps at which the losses differ the first, powers of two after it, and the last; and since the runs
// parted those with checkpoints, which may differ while the losses do not yet.
static bool add_distance(diffing *d, const mm_metrics_row *a, const mm_metrics_row *b) {
    mm_diff_result *r = d->result;
    bool both = both_saved(d, a->step), same = diff_same_bits(a->loss, b->loss);
    if (same && !(both && d->parting.step)) return true;
    if (!same && !d->parted_loss) d->parted_loss = a->step;
    mm_distance_row row = {.step = a->step, .loss = b->loss - a->loss, .known = both};
    if (row.loss < 0) row.loss = -row.loss;
    size_t count = r->distances;
    mm_distance_row *last = count ? &r->distance[count - 1] : NULL;
    bool last_stays = last && (last->known || power_of_two(last->step - d->parted_loss));
    if (last && !last_stays) {
        *last = row; // the last of all takes its place
        return true;
    }
    mm_distance_row *grown = realloc(r->distance, (count + 1) * sizeof *grown);
    if (!grown) return false;
    r->distance = grown;
    grown[r->distances++] = row;
    return true;
}

static mm_status measure_parameters(diffing *d, mm_error *error) {
    mm_diff_result *r = d->result;
    for (size_t i = 0; i < r->distances; i++) {
        mm_distance_row *row = &r->distance[i];
        if (!row->known) continue;
        mm_status status =
            mm_checkpoint_distance(d->path_a, d->path_b, row->step, &row->known, &row->parameters, error);
        if (status) return status;
    }
    return MM_OK;
}

// --- where they part

static bool same_but_rate(const mm_metrics_row *a, const mm_metrics_row *b) {
    return diff_same_bits(a->loss, b->loss) && diff_same_bits(a->grad_norm, b->grad_norm) &&
           a->tokens == b->tokens && a->spoiled == b->spoiled;
}

// Do the rows of this step differ in nothing but the learning rate, if at all?
static bool rates_alone(const diffing *d) {
    const mm_metrics_row *a = &d->a.row, *b = &d->b.row;
    bool validated = d->validation && a->has_val && b->has_val;
    return same_but_rate(a, b) && (!validated || diff_same_bits(a->val_loss, b->val_loss));
}

static bool same_rows(const diffing *d) {
    return rates_alone(d) && diff_same_bits(d->a.row.lr, d->b.row.lr);
}

static bool rows_differ(const diffing *d) {
    return d->a.has_row && d->b.has_row && !same_rows(d);
}

// Is validation data of both the same, cut into the same samples?
static bool same_validation(const mm_run_facts *a, const mm_run_facts *b) {
    return a->val_data.path && b->val_data.path && mm_hash_equal(a->val_data.hash, b->val_data.hash) &&
           a->settings.seq_len == b->settings.seq_len && a->settings.packing == b->settings.packing;
}

unsigned diff_stage_of(const mm_trace_record *r) {
    if (strcmp(r->operation, "batch") == 0) return MM_STAGE_BATCH;
    if (r->leaf >= 0 || r->node_level >= 0) return MM_STAGE_LEAF;
    if (strcmp(r->operation, "adamw") == 0) return MM_STAGE_UPDATE;
    return MM_STAGE_MERGE;
}

// Keeps the records of the step: the sides read on.
static void keep_step(mm_side *side, mm_trace_step *kept) {
    if (!mm_side_traced(side)) return;
    *kept = side->step;
    side->step = (mm_trace_step){0};
}

static mm_place place_of_rows(const mm_metrics_row *a, const mm_metrics_row *b) {
    mm_place place = {.step = a->step, .leaf = -1, .rank = -1, .layer = -1};
    if (same_but_rate(a, b) && diff_same_bits(a->lr, b->lr)) {
        snprintf(place.operation, sizeof place.operation, "validation");
        snprintf(place.tensor, sizeof place.tensor, "val_loss");
        return place;
    }
    bool loss = !diff_same_bits(a->loss, b->loss) || a->tokens != b->tokens,
         norm = !diff_same_bits(a->grad_norm, b->grad_norm);
    snprintf(place.operation, sizeof place.operation, "%s", loss ? "loss" : norm ? "norm" : "adamw");
    // Of equal rates one update made a number that is not finite.
    const char *update = diff_same_bits(a->lr, b->lr) ? "parameters" : "lr";
    snprintf(place.tensor, sizeof place.tensor, "%s", loss ? "loss" : norm ? "grad_norm" : update);
    if (loss) place.pass = MM_PASS_FORWARD;
    return place;
}

// Rates that are right and make the same update are no parting yet.
static void note_rates(diffing *d) {
    if (d->rate_a.step) return;
    d->rate_a = d->a.row;
    d->rate_b = d->b.row;
}

// What the traces do not show the metrics may.
static void compare_rows(diffing *d) {
    diff_parting *p = &d->parting;
    if (p->step || !rows_differ(d)) return;
    if (rates_alone(d) && diff_same_update(d)) {
        note_rates(d);
        return;
    }
    p->step = d->a.steps;
    p->stages = DIFF_ANY_STAGE;
    d->result->first = place_of_rows(&d->a.row, &d->b.row);
}

// Where no records tell the weights after the step a checkpoint of both does.
static void compare_checkpoints(diffing *d) {
    int64_t step = d->a.steps;
    mm_place *first = &d->result->first;
    mm_tensor_distance distance;
    bool known;
    if (d->parting.step || !both_saved(d, step) || diff_same_checkpoint(d, step)) return;
    d->parting.step = step;
    d->parting.stages = DIFF_ANY_STAGE;
    mm_status status = mm_checkpoint_distance(d->path_a, d->path_b, step, &known, &distance, NULL);
    bool weights = !status && known && distance.max_abs > 0;
    *first = (mm_place){.step = step, .leaf = -1, .rank = -1, .layer = -1};
    snprintf(first->operation, sizeof first->operation, "%s", weights ? "adamw" : "checkpoint");
    snprintf(first->tensor, sizeof first->tensor, "%s", weights ? distance.tensor : "optimizer");
}

// At one level a record of the passes that only one of the runs has is a difference, whichever it is.
static mm_status compare_traces(diffing *d, mm_error *error) {
    const mm_trace_step *a = &d->a.step, *b = &d->b.step;
    diff_parting *p = &d->parting;
    const mm_metrics_row *row = &d->a.row;
    if (!d->a.has_row || !d->b.has_row || !same_but_rate(row, &d->b.row)) row = NULL;
    mm_status status = mm_trace_step_compare(a, b, row, d->leaves, false, &p->pairs, error);
    if (!status && p->pairs.count && !p->pairs.pairs[0].b) p->lacks = "B";
    if (status || p->pairs.count || mm_trace_step_level(a) != mm_trace_step_level(b)) return status;
    status = mm_trace_step_compare(b, a, row, d->leaves, false, &p->pairs, error);
    if (!status && p->pairs.count) p->lacks = "A";
    return status;
}

// Every record of the step agrees: lines that do not are changed, unless each has the rate of its settings.
static mm_status check_rows(diffing *d, mm_error *error) {
    bool rates = rates_alone(d);
    mm_status status = rates ? diff_check_rates(d, error) : MM_DIFFERS;
    if (!status) note_rates(d);
    if (!status) return MM_OK;
    d->result->first = place_of_rows(&d->a.row, &d->b.row);
    d->result->parted = true;
    if (rates) return status;
    return mm_fail(error, MM_DIFFERS,
                   "%s/metrics.jsonl and %s/metrics.jsonl: their lines of step %lld differ, though every "
                   "record of the traces agrees; one of them was changed",
                   d->path_a, d->path_b, (long long)d->a.steps);
}

static mm_status compare_step(diffing *d, bool same, bool was_traced, mm_error *error) {
    diff_parting *p = &d->parting;
    bool traced = mm_side_traced(&d->a) && mm_side_traced(&d->b);
    if (traced && !same) {
        mm_status status = compare_traces(d, error);
        if (status) return status;
    }
    if (traced && p->pairs.count) {
        const mm_trace_record *first = p->pairs.pairs[0].a;
        p->step = d->a.steps;
        p->stages = was_traced ? diff_stage_of(first) : DIFF_ANY_STAGE;
        d->result->first = mm_place_of(first);
    } else if (traced && rows_differ(d)) {
        mm_status status = check_rows(d, error);
        if (status) return status;
    }
    if (!traced) {
        compare_rows(d);
        compare_checkpoints(d);
    }
    if (!p->step) return MM_OK;
    p->has_row_a = d->a.has_row;
    p->has_row_b = d->b.has_row;
    p->row_a = d->a.row;
    p->row_b = d->b.row;
    keep_step(&d->a, &p->a);
    keep_step(&d->b, &p->b);
    return MM_OK;
}

static mm_status next(mm_side *side, bool *more, mm_error *error) {
    return *more ? mm_side_next(side, more, error) : MM_OK;
}

static mm_status walk(diffing *d, mm_error *error) {
    bool more_a = true, more_b = true, was_traced = true;
    for (;;) {
        mm_status status = next(&d->a, &more_a, error);
        if (!status) status = next(&d->b, &more_b, error);
        if (status || (!more_a && !more_b)) return status;
        bool both = more_a && more_b, traced = mm_side_traced(&d->a) && mm_side_traced(&d->b);
        bool same = both && traced && mm_trace_step_same(&d->a.step, &d->b.step);
        if (more_a) status = mm_side_check(&d->a, error);
        if (!status && more_b) status = mm_side_check(&d->b, error);
        if (!status && both && !d->parting.step) status = compare_step(d, same, was_traced, error);
        was_traced = traced;
        if (!status && both && d->a.has_row && d->b.has_row && !add_distance(d, &d->a.row, &d->b.row))
            status = mm_trouble(error, "comparing runs: out of memory");
        if (status) return status;
    }
}

// --- the ends

// To their end the runs differ in nothing but their learning rates.
static void part_by_rates(diffing *d) {
    diff_parting *p = &d->parting;
    if (p->step || !d->rate_a.step) return;
    p->step = d->rate_a.step;
    p->stages = MM_STAGE_UPDATE;
    p->has_row_a = p->has_row_b = true;
    p->row_a = d->rate_a;
    p->row_b = d->rate_b;
    d->result->first = place_of_rows(&d->rate_a, &d->rate_b);
}

static bool same_leaves(const mm_settings *a, const mm_settings *b) {
    return a->batch == b->batch && a->micro_batch == b->micro_batch && a->seq_len == b->seq_len &&
           a->packing == b->packing;
}

// Reads everything; *error is the contradiction where the answer is MM_DIFFERS.
static mm_status look(diffing *d, mm_error *error) {
    mm_diff_result *r = d->result;
    mm_status status = mm_side_open(d->path_a, &d->a, error);
    if (!status) status = mm_side_open(d->path_b, &d->b, error);
    if (!status) status = mm_run_read(d->path_a, &r->a, error);
    if (!status) status = mm_run_read(d->path_b, &r->b, error);
    if (!status) status = mm_facts_compare(&r->a, &r->b, &r->facts, error);
    if (status) return status;
    d->leaves = same_leaves(&r->a.settings, &r->b.settings);
    d->validation = same_validation(&r->a, &r->b);
    status = walk(d, error);
    if (!status) part_by_rates(d);
    r->steps_a = d->a.steps;
    r->steps_b = d->b.steps;
    if (!status) status = mm_side_end(&d->a, &d->unsaved_a, error);
    if (!status) status = mm_side_end(&d->b, &d->unsaved_b, error);
    return status;
}

// By whom the step was made at which the runs part, or to which they are equal.
static mm_status compare_programs(diffing *d, mm_error *error) {
    mm_diff_result *r = d->result;
    int64_t end = r->steps_a < r->steps_b ? r->steps_a : r->steps_b;
    bool exact = d->parting.step && d->parting.stages != DIFF_ANY_STAGE;
    return mm_facts_compare_step(&r->a, &r->b, r->parted ? r->first.step : end, exact, &r->facts, error);
}

static void say_damage(diffing *d, const mm_error *found) {
    mm_diff_result *r = d->result;
    r->cause = MM_CAUSE_DAMAGE;
    snprintf(r->what, sizeof r->what, "%s", found->text);
    const mm_side *side = d->a.damaged.step ? &d->a : d->b.damaged.step ? &d->b : NULL;
    if (side) {
        r->parted = true;
        r->first = mm_place_of(&side->damaged);
    }
    snprintf(r->sentence, sizeof r->sentence,
             "The runs cannot be compared, since one of them is damaged: %s.", r->what);
}

mm_status mm_diff(const char *run_a, const char *run_b, const mm_diff_options *options,
                  mm_diff_result *result, mm_error *error) {
    diffing d = {.path_a = run_a, .path_b = run_b, .options = options, .result = result};
    mm_error found = {0};
    *result = (mm_diff_result){0};
    mm_status status = look(&d, &found);
    if (status == MM_DIFFERS) {
        say_damage(&d, &found);
        status = MM_OK;
    } else if (!status) {
        diff_replay replay = {0};
        result->parted = d.parting.step != 0;
        bool ended = mm_side_ended(&d.a) && mm_side_ended(&d.b) && !d.unsaved_a && !d.unsaved_b;
        result->same = !result->parted && !result->facts.initial && d.a.rows == d.b.rows && ended;
        diff_weigh_data(&d);
        status = diff_run_again(&d, &replay, &found);
        if (!status) status = compare_programs(&d, &found);
        if (!status) status = measure_parameters(&d, &found);
        if (!status) status = diff_explain(&d, &replay, &found);
    }
    if (status && error) *error = found;
    mm_trace_pairs_free(&d.parting.pairs);
    mm_trace_step_free(&d.parting.a);
    mm_trace_step_free(&d.parting.b);
    mm_side_close(&d.a);
    mm_side_close(&d.b);
    if (status) mm_diff_result_free(result);
    return status;
}

// The records of a step against those that the run's configuration asks for.
#include "diff_whole.h"
#include <mm/record/checkpoint.h>
#include <stdio.h>
#include <string.h>

enum { BATCH, LOSS, GRADIENT, MERGE, ADAMW, NORM, KINDS };
static const char *const operations[KINDS] = {"batch", "loss", "gradient", "merge", "adamw", "norm"};

// What the places of a step follow from.
typedef struct whole {
    const mm_run_facts *facts;
    int64_t leaves, leaves_in_rank;
    int rank_level; // of the node that is a rank's gradient
    int64_t found[KINDS];
} whole;

static int64_t expected_count(const whole *w, int kind) {
    const int64_t tensors = w->facts->initial_count;
    const int64_t counts[KINDS] = {3 * w->leaves, w->leaves,   w->facts->settings.ranks * tensors,
                                   tensors,       3 * tensors, 1};
    return counts[kind];
}

// A step's record, and none of the model's, which has a norm too.
static int kind_of(const mm_trace_record *r) {
    if (r->pass != MM_PASS_NONE && r->leaf >= 0) return KINDS;
    int kind = 0;
    while (kind < KINDS && strcmp(r->operation, operations[kind]) != 0) kind++;
    return kind;
}

// The place of the record number `i` of its kind; its tensor is prefix and name.
static mm_trace_record expected_place(const whole *w, int kind, int64_t i, const char **prefix) {
    static const char *const of_batch[] = {"positions", "inputs", "targets"};
    const mm_run_tensor *initial = w->facts->initial;
    const int64_t tensors = w->facts->initial_count;
    mm_trace_record r = {MM_TRACE_OF_STEP, .output = true};
    *prefix = "";
    switch (kind) {
    case BATCH:
    case LOSS:
        r.leaf = kind == BATCH ? i / 3 : i;
        r.rank = (int)(r.leaf / w->leaves_in_rank);
        r.tensor = kind == BATCH ? of_batch[i % 3] : "sum";
        break;
    case GRADIENT:
        r.pass = MM_PASS_BACKWARD;
        r.node_level = w->rank_level;
        r.node_index = i / tensors;
        r.rank = (int)r.node_index;
        r.tensor = initial[i % tensors].name;
        break;
    case MERGE:
        r.pass = MM_PASS_BACKWARD;
        r.tensor = initial[i].name;
        break;
    case ADAMW:
        *prefix = mm_moment_prefixes[i % 3];
        r.tensor = initial[i / 3].name;
        break;
    default:
        r.tensor = "grad_norm";
    }
    return r;
}

static bool is_at(const mm_trace_record *r, const mm_trace_record *place, const char *prefix) {
    const size_t n = strlen(prefix);
    return r->pass == place->pass && r->leaf == place->leaf && r->node_level == place->node_level &&
           r->node_index == place->node_index && r->rank == place->rank && r->layer == place->layer &&
           r->output == place->output && strncmp(r->tensor, prefix, n) == 0 &&
           strcmp(r->tensor + n, place->tensor) == 0;
}

static mm_status misplaced(mm_side *side, size_t i, const char *expected, mm_error *error) {
    const mm_trace_record *r = &side->step.records[i];
    side->damaged = *r;
    snprintf(side->damaged_tensor, sizeof side->damaged_tensor, "%s", r->tensor);
    side->damaged.tensor = side->damaged_tensor;
    return mm_fail(error, MM_DIFFERS,
                   "%s line %lld: found a record of \"%s\" of %s, leaf %lld, rank %d, expected %s; the file "
                   "was cut or changed",
                   mm_trace_steps_path(side->trace), (long long)side->step.line + (long long)i, r->operation,
                   r->tensor, (long long)r->leaf, r->rank, expected);
}

static mm_status check_record(mm_side *side, whole *w, size_t i, mm_error *error) {
    const mm_trace_record *r = &side->step.records[i];
    const int kind = kind_of(r);
    char expected[320];
    if (kind < KINDS) {
        if (w->found[kind] >= expected_count(w, kind)) return misplaced(side, i, "no more of them", error);
        const char *prefix;
        mm_trace_record place = expected_place(w, kind, w->found[kind]++, &prefix);
        if (is_at(r, &place, prefix)) return MM_OK;
        snprintf(expected, sizeof expected, "that of %s%s, leaf %lld, rank %d", prefix, place.tensor,
                 (long long)place.leaf, place.rank);
        return misplaced(side, i, expected, error);
    }
    if (r->leaf < 0 || r->pass == MM_PASS_NONE)
        return misplaced(side, i, "one of the operations of a step", error);
    if (r->leaf < w->leaves && r->rank == r->leaf / w->leaves_in_rank) return MM_OK;
    snprintf(expected, sizeof expected, "a leaf below %lld and rank = leaf / %lld", (long long)w->leaves,
             (long long)w->leaves_in_rank);
    return misplaced(side, i, expected, error);
}

static mm_status check_counts(const mm_side *side, const whole *w, mm_error *error) {
    if (mm_trace_step_level(&side->step) != side->step.level)
        return mm_fail(error, MM_DIFFERS,
                       "%s: the records of step %lld are not those of the level that the trace's header has; "
                       "it was cut or changed",
                       mm_trace_steps_path(side->trace), (long long)side->step.step);
    for (int k = 0; k < KINDS; k++)
        if (w->found[k] != expected_count(w, k))
            return mm_fail(error, MM_DIFFERS,
                           "%s: step %lld has %lld records of \"%s\", expected %lld; it was cut or changed",
                           mm_trace_steps_path(side->trace), (long long)side->step.step,
                           (long long)w->found[k], operations[k], (long long)expected_count(w, k));
    return MM_OK;
}

mm_status side_check_whole(mm_side *side, bool stopped, mm_error *error) {
    const mm_settings *s = &side->facts.settings;
    whole w = {.facts = &side->facts, .leaves = s->batch / s->micro_batch};
    w.leaves_in_rank = w.leaves / s->ranks;
    while (INT64_C(1) << w.rank_level < w.leaves_in_rank) w.rank_level++;
    for (size_t i = 0; i < side->step.count; i++) {
        mm_status status = check_record(side, &w, i, error);
        if (status) return status;
    }
    return stopped ? MM_OK : check_counts(side, &w, error);
}

// Two steps of two traces, record by record: in order while both have the same places, else by place.
#include <math.h>
#include <mm/record/trace_step.h>
#include <stdlib.h>
#include <string.h>

void mm_trace_pairs_free(mm_trace_pairs *pairs) {
    free(pairs->pairs);
    *pairs = (mm_trace_pairs){0};
}

static bool same_place(const mm_trace_record *a, const mm_trace_record *b) {
    return a->pass == b->pass && a->leaf == b->leaf && a->node_level == b->node_level &&
           a->node_index == b->node_index && a->layer == b->layer && a->output == b->output &&
           strcmp(a->operation, b->operation) == 0 && strcmp(a->tensor, b->tensor) == 0;
}

static bool same_content(const mm_trace_record *a, const mm_trace_record *b) {
    return mm_hash_equal(a->hash, b->hash) && a->dims == b->dims &&
           memcmp(a->shape, b->shape, (size_t)a->dims * sizeof a->shape[0]) == 0;
}

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32; // a product's lower bits know nothing of the upper ones
}

static uint64_t mix_text(uint64_t hash, const char *text) {
    for (; *text; text++) hash = mix(hash, (unsigned char)*text);
    return hash;
}

static uint64_t place_hash(uint64_t seed, const mm_trace_record *r) {
    uint64_t hash = mix(seed, (uint64_t)r->pass);
    hash = mix(hash, (uint64_t)r->leaf);
    hash = mix(hash, (uint64_t)r->node_level);
    hash = mix(hash, (uint64_t)r->node_index);
    hash = mix(hash, (uint64_t)r->layer);
    hash = mix(hash, r->output);
    return mix_text(mix_text(hash, r->operation), r->tensor);
}

// A place, and the chain of its records that have not been met, in order. Indices + 1, 0: none.
typedef struct place_slot {
    size_t place; // a record that is there; 0: the slot is free
    size_t first;
} place_slot;

// Places of one step. A place that occurs several times (the logits of each chunk of rows) is met in order.
typedef struct place_table {
    const mm_trace_step *step;
    place_slot *slots;
    size_t *next; // of each record: the one after it in its chain
    size_t mask;
    uint64_t seed;
} place_table;

// The slot of the record's place, or the free one where it belongs.
static place_slot *slot_of(const place_table *t, const mm_trace_record *r) {
    size_t at = place_hash(t->seed, r) & t->mask;
    while (t->slots[at].place && !same_place(&t->step->records[t->slots[at].place - 1], r))
        at = (at + 1) & t->mask;
    return &t->slots[at];
}

static void free_table(place_table *t) {
    free(t->slots);
    free(t->next);
}

static mm_status make_table(const mm_trace_step *step, place_table *t, mm_error *error) {
    size_t size = 64;
    while (size < 2 * step->count) size *= 2;
    *t = (place_table){.step = step, .mask = size - 1};
    t->slots = calloc(size, sizeof *t->slots);
    t->next = calloc(step->count + 1, sizeof *t->next);
    if (!t->slots || !t->next) {
        free_table(t);
        return mm_trouble(error, "comparing traces: out of memory");
    }
    // Who writes a trace must not know which places share a slot: an address, which moves no answer.
    t->seed = (uint64_t)(uintptr_t)t->slots;
    for (size_t i = step->count; i > 0; i--) { // each goes before those that are in its chain
        place_slot *slot = slot_of(t, &step->records[i - 1]);
        t->next[i - 1] = slot->first;
        slot->place = slot->first = i;
    }
    return MM_OK;
}

static const mm_trace_record *meet(place_table *t, const mm_trace_record *r) {
    place_slot *slot = slot_of(t, r);
    if (!slot->first) return NULL;
    const size_t i = slot->first - 1;
    slot->first = t->next[i];
    return &t->step->records[i];
}

static bool comparable(const mm_trace_record *r, bool leaves) {
    return leaves || (r->leaf < 0 && r->node_level < 0);
}

typedef struct comparison {
    bool passed, updated; // with finite numbers
    bool leaves;
    bool whole;  // every place of `a` must be in `b`
    bool passes; // those of the model's passes must
    mm_trace_pairs *out;
    size_t capacity;
} comparison;

static bool add_pair(comparison *c, const mm_trace_record *a, const mm_trace_record *b) {
    mm_trace_pairs *out = c->out;
    if (out->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 64;
        mm_trace_pair *pairs = realloc(out->pairs, capacity * sizeof *pairs);
        if (!pairs) return false;
        out->pairs = pairs;
        c->capacity = capacity;
    }
    out->pairs[out->count++] = (mm_trace_pair){a, b};
    return true;
}

static bool is_promised(const comparison *c, const mm_trace_record *r) {
    if (strcmp(r->operation, "batch") == 0) return true;
    return strcmp(r->operation, "adamw") == 0 ? c->updated : c->passed;
}

static bool compare_pair(comparison *c, const mm_trace_record *a, const mm_trace_record *b) {
    if (!comparable(a, c->leaves)) return true;
    if (b) c->out->compared++;
    bool of_pass = a->leaf >= 0 && a->pass != MM_PASS_NONE;
    bool differs = b ? !same_content(a, b) && is_promised(c, a) : c->whole || (c->passes && of_pass);
    return !differs || add_pair(c, a, b);
}

static bool same_places(const mm_trace_step *a, const mm_trace_step *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_place(&a->records[i], &b->records[i])) return false;
    return true;
}

// The order of the program: a leaf by itself, and a node after the last leaf below it; the step's own records
// as they stand, behind all leaves.
static int64_t moment(const mm_trace_record *r) {
    if (r->leaf >= 0) return 2 * r->leaf;
    if (r->node_level >= 0) return 2 * (((r->node_index + 1) << r->node_level) - 1) + 1;
    return INT64_MAX;
}

static int earlier(const void *x, const void *y) {
    const mm_trace_record *a = ((const mm_trace_pair *)x)->a, *b = ((const mm_trace_pair *)y)->a;
    int64_t m = moment(a), n = moment(b);
    if (m != n) return m < n ? -1 : 1;
    // The backward pass comes to a layer's tensors from the last to the first, as the table does not.
    bool back = a->node_level >= 0;
    return ((a > b) - (a < b)) * (back ? -1 : 1);
}

mm_status mm_trace_step_compare(const mm_trace_step *a, const mm_trace_step *b, const mm_metrics_row *row,
                                bool leaves, bool whole, mm_trace_pairs *out, mm_error *error) {
    *out = (mm_trace_pairs){0};
    const bool passed = !row || (isfinite(row->loss) && isfinite(row->grad_norm));
    comparison c = {.passed = passed,
                    .updated = passed && !(row && row->spoiled),
                    .leaves = leaves,
                    .whole = whole,
                    .out = out};
    bool fits = true;
    if (same_places(a, b)) {
        for (size_t i = 0; fits && i < a->count; i++) fits = compare_pair(&c, &a->records[i], &b->records[i]);
    } else {
        place_table table;
        // At one level the passes have the same places, whatever the ranks.
        c.passes = leaves && mm_trace_step_level(a) == mm_trace_step_level(b);
        mm_status status = make_table(b, &table, error);
        if (status) return status;
        for (size_t i = 0; fits && i < a->count; i++)
            fits = compare_pair(&c, &a->records[i], meet(&table, &a->records[i]));
        free_table(&table);
    }
    if (fits) {
        if (out->count) qsort(out->pairs, out->count, sizeof *out->pairs, earlier);
        return MM_OK;
    }
    mm_trace_pairs_free(out);
    return mm_trouble(error, "comparing traces: out of memory");
}

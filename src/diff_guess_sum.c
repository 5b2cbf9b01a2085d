// Gradients that were added otherwise: leaves or ranks exchanged, left out, counted twice, in another order.
#include "diff_guess.h"
#include <mm/base/arena.h>
#include <stdlib.h>
#include <string.h>

// Numbers that one kind of guess adds, and hashes: a few seconds. Tries grow with the square of the leaves,
// and each with the leaves.
static const double ADD_MOST = 2e9;

// One tensor's gradient of each leaf, and room to add them in.
typedef struct sums {
    const guessing *g;
    int tensor;    // in the table of parameters
    int64_t n;     // its numbers
    int64_t count; // leaves
    int64_t each;  // of a rank
    float *leaves; // count * n
    float *room;   // count * n
} sums;

static int tensor_index(const mm_parameters *p, const char *name) {
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->tensors[i].name, name) == 0) return i;
    return -1;
}

// The smallest tensor that differs: one is enough, since a hash proves.
static const mm_trace_record *smallest(const guessing *g, int *tensor) {
    const mm_parameters *p = &g->replay->trainer.model.parameters;
    const mm_trace_record *first = guess_record(g, 0, false), *best = NULL;
    for (size_t i = 0; i < g->d->parting.pairs.count; i++) {
        const mm_trace_record *r = guess_record(g, i, false);
        int index = tensor_index(p, r->tensor);
        if (strcmp(r->operation, first->operation) != 0 || r->node_index != first->node_index || index < 0)
            continue;
        if (best && mm_tensor_count(&p->tensors[index]) >= mm_tensor_count(&p->tensors[*tensor])) continue;
        best = r;
        *tensor = index;
    }
    return best;
}

static bool run_leaves(sums *s) {
    mm_trainer *t = &s->g->replay->trainer;
    bool good = true;
    t->batch_targets =
        mm_plan_targets(&t->train.plan, (uint64_t)(t->step * t->settings.batch), t->settings.batch);
    for (int64_t leaf = 0; good && leaf < s->count; leaf++) {
        double loss;
        float *gradient = mm_tree_buffer(t->tree);
        good = !mm_step_run_leaf(t, &t->workers[0], leaf, gradient, NULL, &loss, NULL);
        mm_tensor tensor = mm_parameter_in(&t->model.parameters, s->tensor, gradient);
        memcpy(s->leaves + leaf * s->n, tensor.data, (size_t)s->n * sizeof(float));
        mm_tree_return(t->tree, gradient);
    }
    return good;
}

// Is there time for so many tries, each of which adds `nodes` of the tensor's gradients?
static bool affordable(const sums *s, double tries, int64_t nodes) {
    return tries * (double)nodes * (double)s->n <= ADD_MOST;
}

static sums sums_of(const guessing *g, int tensor) {
    const mm_trainer *t = &g->replay->trainer;
    return (sums){.g = g,
                  .tensor = tensor,
                  .n = mm_tensor_count(&t->model.parameters.tensors[tensor]),
                  .count = t->leaves,
                  .each = t->leaves_in_rank};
}

static bool open_sums(sums *s) {
    if (2.0 * (double)s->count * (double)s->n * sizeof(float) > mm_memory_available()) return false;
    s->leaves = malloc((size_t)(s->count * s->n) * sizeof(float));
    s->room = malloc((size_t)(s->count * s->n) * sizeof(float));
    return s->leaves && s->room && run_leaves(s);
}

static void close_sums(sums *s) {
    free(s->leaves);
    free(s->room);
}

static void add(const sums *s, float *sum, const float *other) {
    mm_tree_add(sum, other, (size_t)s->n);
}

// The tree over what stands in the room's first `count` places; the sum is in the first.
static mm_hash tree(const sums *s, int64_t count) {
    mm_tree_fold(s->room, count, (size_t)s->n);
    return mm_hash_bytes(s->room, (size_t)s->n * sizeof(float));
}

static void place(const sums *s, int64_t at, const float *from) {
    memcpy(s->room + at * s->n, from, (size_t)s->n * sizeof(float));
}

static const float *leaf_of(const sums *s, int64_t leaf) {
    return s->leaves + leaf * s->n;
}

// --- a rank's gradient

// The rank's node with leaf `one` in place of its own leaf `two`; negative: nothing there.
static mm_hash node(const sums *s, int64_t rank, int64_t two, int64_t one) {
    for (int64_t i = 0; i < s->each; i++) {
        int64_t leaf = rank * s->each + i == two ? one : rank * s->each + i;
        if (leaf >= 0)
            place(s, i, leaf_of(s, leaf));
        else
            memset(s->room + i * s->n, 0, (size_t)s->n * sizeof(float));
    }
    return tree(s, s->each);
}

static bool can_try_leaves(const sums *s) {
    return affordable(s, (double)s->each * (double)(s->count + 1), s->each);
}

static void try_leaves(const sums *s, const mm_trace_record *r) {
    int64_t rank = r->node_index;
    if (!can_try_leaves(s)) return;
    for (int64_t two = rank * s->each; two < (rank + 1) * s->each && !s->g->found->guess[0]; two++)
        for (int64_t one = -1; one < s->count && !s->g->found->guess[0]; one++) {
            if (one == two || !mm_hash_equal(node(s, rank, two, one), r->hash)) continue;
            if (one < 0)
                guess_say(s->g, MM_CAUSE_NONE, "rank %lld of run %s left out leaf %lld's gradient",
                          (long long)rank, guess_run(s->g), (long long)two);
            else
                guess_say(s->g, MM_CAUSE_NONE,
                          "rank %lld of run %s added leaf %lld's gradient in place of leaf %lld's",
                          (long long)rank, guess_run(s->g), (long long)one, (long long)two);
        }
}

static bool can_try_bits(const sums *s) {
    return s->n * s->each <= GUESS_SUM_FLIPS;
}

// One bit of a leaf's gradient turned over: of a tensor that is small enough to try all of them.
static void try_bits(const sums *s, const mm_trace_record *r) {
    int64_t rank = r->node_index;
    if (!can_try_bits(s)) return;
    for (int64_t leaf = rank * s->each; leaf < (rank + 1) * s->each; leaf++)
        for (int64_t i = 0; i < 32 * s->n; i++) {
            float *number = s->leaves + leaf * s->n + i / 32;
            guess_flip(number, (int)(i % 32));
            bool found = mm_hash_equal(node(s, rank, -1, -1), r->hash);
            guess_flip(number, (int)(i % 32));
            if (!found) continue;
            guess_say(s->g, MM_CAUSE_NONE,
                      "in run %s, bit %d of number %lld of leaf %lld's gradient of %s was turned over",
                      guess_run(s->g), (int)(i % 32), (long long)(i / 32), (long long)leaf, r->tensor);
            return;
        }
}

// --- the merged gradient

// The ranks' nodes, in place of the leaves.
static void fold_ranks(sums *s) {
    int64_t ranks = s->count / s->each;
    for (int64_t rank = 0; rank < ranks; rank++) {
        node(s, rank, -1, -1);
        memcpy(s->leaves + rank * s->n, s->room, (size_t)s->n * sizeof(float));
    }
    s->count = ranks;
}

static void try_exchanges(const sums *s, const mm_trace_record *r) {
    if (!affordable(s, (double)s->count * (double)(s->count - 1) / 2, s->count)) return;
    for (int64_t a = 0; a < s->count; a++)
        for (int64_t b = a + 1; b < s->count; b++) {
            for (int64_t i = 0; i < s->count; i++) place(s, i, leaf_of(s, i == a ? b : i == b ? a : i));
            if (!mm_hash_equal(tree(s, s->count), r->hash)) continue;
            guess_say(s->g, MM_CAUSE_NONE,
                      "run %s added its ranks' gradients in another order, ranks %lld and %lld exchanged",
                      guess_run(s->g), (long long)a, (long long)b);
            return;
        }
}

static void try_sequence(const sums *s, const mm_trace_record *r) {
    for (int back = 0; back < 2; back++) {
        place(s, 0, leaf_of(s, back ? s->count - 1 : 0));
        for (int64_t i = 1; i < s->count; i++) add(s, s->room, leaf_of(s, back ? s->count - 1 - i : i));
        if (!mm_hash_equal(tree(s, 1), r->hash)) continue;
        guess_say(s->g, MM_CAUSE_NONE,
                  "run %s added its ranks' gradients one after another, from the %s on, and not by the tree",
                  guess_run(s->g), back ? "last" : "first");
    }
}

static void try_ranks(const sums *s, const mm_trace_record *r) {
    if (!affordable(s, 2 * (double)s->count, s->count)) return;
    for (int64_t one = 0; one < s->count && !s->g->found->guess[0]; one++)
        for (int twice = 0; twice < 2; twice++) {
            for (int64_t i = 0; i < s->count; i++) place(s, i, leaf_of(s, i));
            if (twice)
                add(s, s->room + one * s->n, leaf_of(s, one));
            else
                memset(s->room + one * s->n, 0, (size_t)s->n * sizeof(float));
            if (mm_hash_equal(tree(s, s->count), r->hash))
                guess_say(s->g, MM_CAUSE_NONE, "run %s %s rank %lld's gradient", guess_run(s->g),
                          twice ? "counted twice" : "left out", (long long)one);
        }
}

// How many tensors of the first record's place differ, for what no guess proves.
static void say_extent(const guessing *g) {
    const mm_trace_record *first = guess_record(g, 0, false);
    int count = g->replay->trainer.model.parameters.count, differing = 0;
    for (size_t i = 0; i < g->d->parting.pairs.count; i++) {
        const mm_trace_record *r = guess_record(g, i, false);
        differing += strcmp(r->operation, first->operation) == 0 && r->node_index == first->node_index;
    }
    if (first->node_level < 0) return;
    guess_say(g, MM_CAUSE_NONE,
              "the losses of rank %d's leaves agree, its gradient does not, in %d of %d tensors%s",
              first->rank, differing, count,
              differing == 1 ? ", as after a changed number" : ", as after a buffer that was not cleared");
}

void guess_sums(const guessing *g) {
    int tensor = -1;
    const mm_trace_record *r = smallest(g, &tensor);
    if (!r) return;
    sums s = sums_of(g, tensor);
    // Its leaves are run only for what can be tried.
    if ((r->node_level < 0 || can_try_leaves(&s) || can_try_bits(&s)) && open_sums(&s)) {
        if (r->node_level >= 0) {
            try_leaves(&s, r);
            if (!g->found->guess[0]) try_bits(&s, r);
        } else {
            fold_ranks(&s);
            try_exchanges(&s, r);
            if (!g->found->guess[0]) try_sequence(&s, r);
            if (!g->found->guess[0]) try_ranks(&s, r);
        }
    }
    close_sums(&s);
    if (!g->found->guess[0]) say_extent(g);
}

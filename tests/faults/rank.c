// Faults of ranks: streams, leaves' tokens, the tree.
#include "fault.h"
#include "place.h"
#include "wrap.h"
#include <stdlib.h>
#include <string.h>

mm_draw __wrap_mm_rank_draw(mm_seed_policy policy, uint64_t seed, int rank, int64_t step,
                            int64_t leaf_in_rank, int sample, uint64_t position) {
    here.step = step;
    here.rank = rank;
    here.leaf_in_rank = leaf_in_rank;
    int drawn = fault_strikes_here("stream") ? (int)planted.other : rank;
    if (fault_is("shared-stream") && step >= planted.step)
        drawn = 0; // every rank draws rank 0's masks from then on
    mm_draw draw = __real_mm_rank_draw(policy, seed, drawn, step, leaf_in_rank, sample, position);
    if (fault_strikes_here("mask-counter")) draw.sample++;
    return draw;
}

static int64_t leaf_of_fault(int64_t rank) {
    return rank * planted.leaves_in_rank + planted.leaf;
}

mm_status __wrap_mm_batch_fill(mm_batch *batch, const mm_plan *plan, mm_dataset_cursor *cursor,
                               uint64_t first, int samples, mm_error *error) {
    if (fault_strikes("tokens-swapped")) {
        int64_t one = leaf_of_fault(planted.rank), two = leaf_of_fault(planted.other);
        if (here.leaf == one) first += (uint64_t)((two - one) * samples);
        if (here.leaf == two) first -= (uint64_t)((two - one) * samples);
    }
    if (fault_is("resume-position") && resumed_at) first += (uint64_t)planted.other;
    mm_status status = __real_mm_batch_fill(batch, plan, cursor, first, samples, error);
    if (!status && fault_strikes("bit-token") && here.leaf == leaf_of_fault(planted.rank)) {
        flip_bit(&batch->inputs[planted.element], 0);
        flip_bit(&batch->targets[planted.element - 1], 0);
    }
    return status;
}

// What the first leaf of the step before gave.
static float *stale;
static _Thread_local float *own_buffer; // of the leaf in work

static void keep_stale(int64_t leaf, const mm_partial *partial) {
    if (!fault_is("stale-buffer") || leaf || step_in_work() != planted.step - 1) return;
    size_t bytes = model_in_work->parameters.floats * sizeof *stale;
    stale = malloc(bytes);
    if (!stale) abort();
    memcpy(stale, partial->gradient, bytes);
}

int64_t __wrap_mm_tree_take(mm_tree *tree, int64_t limit, float **gradient) {
    int64_t leaf = __real_mm_tree_take(tree, limit, gradient);
    here.leaf = leaf;
    own_buffer = *gradient;
    return leaf;
}

const float *stale_at(const float *c) {
    if (!fault_strikes("stale-buffer") || !stale || here.leaf != leaf_of_fault(planted.rank)) return NULL;
    const bool inside = c >= own_buffer && c < own_buffer + model_in_work->parameters.floats;
    return inside ? stale + (c - own_buffer) : NULL;
}

// Gives a node's children in exchanged places, and says of each what it was.
typedef struct renamed {
    const mm_tree_watch *watch;
    int level;
} renamed;

static int64_t exchange(int64_t rank) {
    return rank == planted.rank ? planted.other : rank == planted.other ? planted.rank : rank;
}

static void node_renamed(void *self, int level, int64_t index, const mm_partial *sum) {
    const renamed *r = self;
    r->watch->node(r->watch->self, level, level == r->level ? exchange(index) : index, sum);
}

static void give_reordered(mm_tree *tree, int64_t leaf, mm_partial partial, const mm_tree_watch *watch) {
    int64_t each = planted.leaves_in_rank;
    renamed r = {.watch = watch, .level = mm_tree_levels(each)};
    mm_tree_watch own = {.self = &r, .node = node_renamed};
    __real_mm_tree_give(tree, exchange(leaf / each) * each + leaf % each, partial, &own);
}

void __wrap_mm_tree_give(mm_tree *tree, int64_t leaf, mm_partial partial, const mm_tree_watch *watch) {
    keep_stale(leaf, &partial);
    if (fault_strikes("tree-order")) {
        give_reordered(tree, leaf, partial, watch);
        return;
    }
    if (fault_strikes("bit-gradient") && leaf == leaf_of_fault(planted.rank)) {
        size_t offset = model_in_work->parameters.offsets[planted.tensor] + (size_t)planted.element;
        flip_bit(&partial.gradient[offset], planted.bit);
    }
    if (fault_strikes("leaves-swapped")) {
        int64_t one = leaf_of_fault(planted.rank), two = leaf_of_fault(planted.other);
        leaf = leaf == one ? two : leaf == two ? one : leaf;
    }
    __real_mm_tree_give(tree, leaf, partial, watch);
}

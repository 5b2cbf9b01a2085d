#include <assert.h>
#include <mm/rank/reduce.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

// A node waits here for its second child.
typedef struct node {
    atomic_int arrived;
    mm_partial child[2];
} node;

typedef struct buffer {
    atomic_bool used;
    mm_arena
        memory; // mapped at open, so that a step cannot run out; the system gives pages as they are touched
} buffer;

struct mm_tree {
    int64_t leaves;
    int levels;
    size_t floats;
    node **nodes; // nodes[l] for l in 1..levels: mm_tree_width(leaves, l) of them
    mm_partial root;
    atomic_llong next; // leaf
    int64_t buffer_count;
    buffer *buffers;
};

int mm_tree_levels(int64_t leaves) {
    int levels = 0;
    while (leaves > (int64_t)1 << levels) levels++;
    return levels;
}

int64_t mm_tree_width(int64_t leaves, int level) {
    return (leaves + ((int64_t)1 << level) - 1) >> level;
}

// Each worker holds its leaf's buffer, and each node above a leaf in work can have one child waiting. A
// worker between two leaves holds none, which pays for what waits above the next leaf to be taken.
int64_t mm_tree_buffers(int64_t leaves, int workers) {
    int64_t most = workers * (int64_t)(1 + mm_tree_levels(leaves));
    return most < leaves ? most : leaves;
}

static mm_status map_buffers(mm_tree *tree, mm_error *error) {
    tree->buffers = calloc((size_t)tree->buffer_count, sizeof *tree->buffers);
    if (!tree->buffers) return mm_trouble(error, "gradient buffers: out of memory");
    for (int64_t i = 0; i < tree->buffer_count; i++) {
        mm_status status = mm_arena_open(&tree->buffers[i].memory, tree->floats * sizeof(float), error);
        if (status) return status;
    }
    return MM_OK;
}

mm_status mm_tree_open(mm_tree **out, int64_t leaves, int workers, size_t floats, mm_error *error) {
    assert(leaves >= 1 && workers >= 1 && floats >= 1);
    mm_tree *tree = calloc(1, sizeof *tree);
    *out = tree;
    if (!tree) return mm_trouble(error, "gradient tree: out of memory");
    tree->leaves = leaves;
    tree->levels = mm_tree_levels(leaves);
    tree->floats = floats;
    tree->buffer_count = mm_tree_buffers(leaves, workers);
    tree->nodes = calloc((size_t)tree->levels + 1, sizeof *tree->nodes);
    mm_status status = tree->nodes ? MM_OK : mm_trouble(error, "gradient tree: out of memory");
    for (int level = 1; !status && level <= tree->levels; level++) {
        tree->nodes[level] = calloc((size_t)mm_tree_width(leaves, level), sizeof **tree->nodes);
        if (!tree->nodes[level])
            status = mm_trouble(
                error, "gradient tree of %lld leaves: out of memory; use fewer or larger micro-batches",
                (long long)leaves);
    }
    if (!status) status = map_buffers(tree, error);
    if (status) {
        mm_tree_close(tree);
        *out = NULL;
    }
    return status;
}

void mm_tree_close(mm_tree *tree) {
    if (!tree) return;
    for (int64_t i = 0; tree->buffers && i < tree->buffer_count; i++)
        mm_arena_close(&tree->buffers[i].memory);
    for (int level = 1; tree->nodes && level <= tree->levels; level++) free(tree->nodes[level]);
    free(tree->nodes);
    free(tree->buffers);
    free(tree);
}

void mm_tree_begin(mm_tree *tree) {
    for (int level = 1; level <= tree->levels; level++)
        for (int64_t i = 0; i < mm_tree_width(tree->leaves, level); i++)
            atomic_store_explicit(&tree->nodes[level][i].arrived, 0, memory_order_relaxed);
    tree->root = (mm_partial){0};
    atomic_store(&tree->next, 0);
}

int64_t mm_tree_take(mm_tree *tree) {
    int64_t leaf = atomic_fetch_add_explicit(&tree->next, 1, memory_order_relaxed);
    return leaf < tree->leaves ? leaf : -1;
}

static float *buffer_data(const buffer *b) {
    return (float *)(void *)b->memory.base;
}

float *mm_tree_buffer(mm_tree *tree) {
    for (;;) { // the count of buffers guarantees a free one; another worker may be about to take or return it
        for (int64_t i = 0; i < tree->buffer_count; i++) {
            buffer *b = &tree->buffers[i];
            if (atomic_exchange_explicit(&b->used, true, memory_order_acquire)) continue;
            memset(b->memory.base, 0, tree->floats * sizeof(float));
            return buffer_data(b);
        }
    }
}

void mm_tree_return(mm_tree *tree, float *data) {
    for (int64_t i = 0; i < tree->buffer_count; i++) {
        if (buffer_data(&tree->buffers[i]) != data) continue;
        atomic_store_explicit(&tree->buffers[i].used, false, memory_order_release);
        return;
    }
    assert(false && "a buffer of this tree");
}

static mm_partial merge(mm_tree *tree, const mm_partial *left, const mm_partial *right) {
    float *restrict sum = left->gradient;
    const float *restrict other = right->gradient;
    for (size_t i = 0; i < tree->floats; i++) sum[i] += other[i];
    mm_tree_return(tree, right->gradient);
    return (mm_partial){.gradient = left->gradient,
                        .loss = left->loss + right->loss,
                        .targets = left->targets + right->targets};
}

void mm_tree_give(mm_tree *tree, int64_t leaf, mm_partial partial, const mm_tree_watch *watch) {
    int64_t index = leaf;
    for (int level = 0;; level++, index /= 2) {
        if (watch && watch->node) watch->node(watch->self, level, index, &partial);
        if (level == tree->levels) {
            tree->root = partial;
            return;
        }
        bool alone = index % 2 == 0 && index + 1 == mm_tree_width(tree->leaves, level);
        if (alone) continue;
        node *parent = &tree->nodes[level + 1][index / 2];
        parent->child[index % 2] = partial;
        if (atomic_fetch_add_explicit(&parent->arrived, 1, memory_order_acq_rel) == 0) return;
        partial = merge(tree, &parent->child[0], &parent->child[1]);
    }
}

mm_partial mm_tree_root(mm_tree *tree) {
    assert(tree->root.gradient);
    return tree->root;
}

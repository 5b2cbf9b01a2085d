#include <assert.h>
#include <errno.h>
#include <mm/base/profile.h>
#include <mm/rank/reduce.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

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
    node **nodes;      // nodes[l] for l in 1..levels: mm_tree_width(leaves, l) of them
    mm_partial root;   // but for what is to be added to its gradient
    float *other;      // that; NULL with one leaf
    atomic_llong next; // leaf
    atomic_bool stopped;
    int64_t buffer_count;
    buffer *buffers;
    sem_t free_buffers; // of the step in work
};

int mm_tree_levels(int64_t leaves) {
    int levels = 0;
    while (leaves > (int64_t)1 << levels) levels++;
    return levels;
}

int64_t mm_tree_width(int64_t leaves, int level) {
    return (leaves + ((int64_t)1 << level) - 1) >> level;
}

// Why these are enough. When exactly the first n leaves are given, what waits for a sibling is one whole
// subtree for each bit that is set in n (n < leaves). So workers that take leaves n to n + workers - 1 at
// once, in turns, hold that many buffers and one each: the loop below. Where their times differ, a worker may
// wait a while for another's leaf.
//
// No wait is for ever. A worker has its permit for a buffer BEFORE it takes a leaf's number, so the leaves
// taken are always the first n, and each of them has its buffer. If every worker waited, all n leaves would
// be given and the buffers held would be those of the bits of n < leaves, at most floor(log2(leaves)) of
// them; there is one more, so one is free and its permit wakes a worker. (With the number first, later leaves
// could fill all buffers with subtrees that wait for a leaf that waits for a buffer.) A worker that waits
// holds nothing, and one that has not started holds nothing, so none is counted on.
int64_t mm_tree_buffers(int64_t leaves, int workers) {
    int64_t most = 1;
    while ((int64_t)1 << most <= leaves) most++; // 1 + floor(log2(leaves))
    for (int64_t n = 0; n < leaves; n += workers) {
        int64_t in_work = leaves - n < workers ? leaves - n : workers;
        int64_t held = __builtin_popcountll((unsigned long long)n) + in_work;
        if (held > most) most = held;
    }
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
    sem_init(&tree->free_buffers, 0, 0);
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
    sem_destroy(&tree->free_buffers);
    free(tree);
}

void mm_tree_begin(mm_tree *tree) {
    for (int level = 1; level <= tree->levels; level++)
        for (int64_t i = 0; i < mm_tree_width(tree->leaves, level); i++)
            atomic_store_explicit(&tree->nodes[level][i].arrived, 0, memory_order_relaxed);
    tree->root = (mm_partial){0};
    tree->other = NULL;
    for (int64_t i = 0; i < tree->buffer_count; i++) atomic_store(&tree->buffers[i].used, false);
    sem_destroy(&tree->free_buffers);
    sem_init(&tree->free_buffers, 0, (unsigned)tree->buffer_count);
    atomic_store(&tree->stopped, false);
    atomic_store(&tree->next, 0);
}

static float *buffer_data(const buffer *b) {
    return (float *)(void *)b->memory.base;
}

float *mm_tree_buffer(mm_tree *tree) {
    for (;;) { // one is free; who else looks for another may take it first, and then has left that one
        for (int64_t i = 0; i < tree->buffer_count; i++) {
            buffer *b = &tree->buffers[i];
            if (atomic_exchange_explicit(&b->used, true, memory_order_acquire)) continue;
            return buffer_data(b);
        }
    }
}

void mm_tree_return(mm_tree *tree, float *data) {
    for (int64_t i = 0; i < tree->buffer_count; i++) {
        if (buffer_data(&tree->buffers[i]) != data) continue;
        atomic_store_explicit(&tree->buffers[i].used, false, memory_order_release);
        sem_post(&tree->free_buffers);
        return;
    }
    assert(false && "a buffer of this tree");
}

static bool all_taken(mm_tree *tree, int64_t limit) {
    return atomic_load(&tree->stopped) || atomic_load(&tree->next) >= limit;
}

// The next leaf below the limit, or -1.
static int64_t next_leaf(mm_tree *tree, int64_t limit) {
    long long leaf = atomic_load(&tree->next);
    while (leaf < limit)
        if (atomic_compare_exchange_weak(&tree->next, &leaf, leaf + 1)) return leaf;
    return -1;
}

// Leaves take from milliseconds up, so whoever finds no buffer sleeps after a short look.
static void wait_for_buffer(mm_tree *tree) {
    enum { LOOKS = 200 };
    for (int i = 0; i < LOOKS; i++)
        if (sem_trywait(&tree->free_buffers) == 0) return;
    while (sem_wait(&tree->free_buffers) && errno == EINTR) {} // a signal's handler came between
}

// A permit that nobody needs any more wakes one who waits for it in vain, who passes it on.
static int64_t nothing_left(mm_tree *tree) {
    sem_post(&tree->free_buffers);
    return -1;
}

// Who waits in vain for a leaf below a limit short of the last is woken by the merges of those that are in
// work: when all of them are given, a buffer is free.
int64_t mm_tree_take(mm_tree *tree, int64_t limit, float **gradient) {
    assert(limit <= tree->leaves);
    if (all_taken(tree, limit)) return -1;
    wait_for_buffer(tree);
    mm_profile_mark(MM_PROFILE_WAIT, MM_PASS_NONE);
    if (all_taken(tree, limit)) return nothing_left(tree);
    int64_t leaf = next_leaf(tree, limit);
    if (leaf < 0) return nothing_left(tree);
    if (leaf + 1 == tree->leaves) sem_post(&tree->free_buffers); // for those who wait in vain
    *gradient = mm_tree_buffer(tree);
    return leaf;
}

void mm_tree_stop(mm_tree *tree) {
    atomic_store(&tree->stopped, true);
    sem_post(&tree->free_buffers);
}

void mm_tree_add(float *restrict sum, const float *restrict other, size_t floats) {
    for (size_t i = 0; i < floats; i++) sum[i] += other[i];
}

// A node lies where its first leaf lay; one without a right child is there already.
void mm_tree_fold(float *arrays, int64_t leaves, size_t floats) {
    for (int64_t apart = 1; apart < leaves; apart *= 2)
        for (int64_t left = 0; left + apart < leaves; left += 2 * apart)
            mm_tree_add(arrays + (size_t)left * floats, arrays + (size_t)(left + apart) * floats, floats);
}

// With the left child's gradient.
static mm_partial joined(const mm_partial *left, const mm_partial *right) {
    return (mm_partial){.gradient = left->gradient,
                        .loss = left->loss + right->loss,
                        .targets = left->targets + right->targets};
}

static mm_partial merge(mm_tree *tree, const mm_partial *left, const mm_partial *right) {
    mm_tree_add(left->gradient, right->gradient, tree->floats);
    mm_profile_mark(MM_PROFILE_MERGE, MM_PASS_NONE);
    mm_tree_return(tree, right->gradient);
    return joined(left, right);
}

void mm_tree_give(mm_tree *tree, int64_t leaf, mm_partial partial, const mm_tree_watch *watch) {
    int64_t index = leaf;
    for (int level = 0; level < tree->levels; level++, index /= 2) {
        if (watch && watch->node) watch->node(watch->self, level, index, &partial);
        bool alone = index % 2 == 0 && index + 1 == mm_tree_width(tree->leaves, level);
        if (alone) continue;
        node *parent = &tree->nodes[level + 1][index / 2];
        parent->child[index % 2] = partial;
        if (atomic_fetch_add_explicit(&parent->arrived, 1, memory_order_acq_rel) == 0) return;
        const mm_partial *left = &parent->child[0], *right = &parent->child[1];
        const bool last = level + 1 == tree->levels;
        if (last) tree->other = right->gradient;
        partial = last ? joined(left, right) : merge(tree, left, right);
    }
    tree->root = partial;
}

mm_partial mm_tree_root(const mm_tree *tree, float **other) {
    assert(tree->root.gradient);
    *other = tree->other;
    return tree->root;
}

// The all-reduce of a step: a binary tree over its leaves, run as a combining tree (design: Arithmetic 6).
// Node (l, i) adds nodes (l-1, 2i) and (l-1, 2i+1); one without a right child passes through. Who computes a
// node is scheduling; what it adds is not.
#ifndef MM_RANK_REDUCE_H
#define MM_RANK_REDUCE_H

#include <mm/base/arena.h>
#include <mm/base/status.h>
#include <stddef.h>
#include <stdint.h>

// What a leaf gives and a node merges.
typedef struct mm_partial {
    float *gradient; // `floats` of the tree, in parameter order
    double loss;     // sum over targets
    int64_t targets;
} mm_partial;

typedef struct mm_tree mm_tree;

// A tree of `leaves` leaves for `workers` workers over buffers of `floats` floats. A worker is whoever takes
// a leaf: a team that shares leaves counts once. mm_tree_buffers buffers are mapped; the system gives their
// pages as they are first touched.
MM_CHECKED mm_status mm_tree_open(mm_tree **tree, int64_t leaves, int workers, size_t floats,
                                  mm_error *error);
void mm_tree_close(mm_tree *tree);
// Buffers of a tree: what workers need who take their leaves in turns, all at once. It is about workers +
// log2(leaves) - log2(workers), and no more than leaves.
int64_t mm_tree_buffers(int64_t leaves, int workers);

// Begins a step, with every buffer free: nothing that an earlier step has given is used any more.
void mm_tree_begin(mm_tree *tree);
// The next leaf in order below `limit` (at most the tree's leaves; those above may be taken later) and a
// buffer for its gradient, in which there may be numbers, but +0 where none was ever put; -1 when all of them
// are taken or the step has been stopped. Waits, asleep, while every buffer is held; that ends whatever the
// other workers do, as long as each that took a leaf gives it or stops the step. Any worker; no lock unless
// it waits.
int64_t mm_tree_take(mm_tree *tree, int64_t limit, float **gradient);
// A worker that cannot give the leaf it took says so: no leaf is handed out any more, no worker waits on, and
// the step has no root.
void mm_tree_stop(mm_tree *tree);
// A buffer between steps, as mm_tree_take's; at least one is free while no step runs.
float *mm_tree_buffer(mm_tree *tree);

// Called for each node but the root as it is completed, before it is merged into its parent, by the worker
// that completed it: level, index, its sum. A rank's gradient is node (log2(G/R), rank).
typedef struct mm_tree_watch {
    void *self;
    void (*node)(void *self, int level, int64_t index, const mm_partial *sum);
} mm_tree_watch;

// Gives leaf `leaf`'s result to the tree and carries it up as far as its siblings are complete.
void mm_tree_give(mm_tree *tree, int64_t leaf, mm_partial partial, const mm_tree_watch *watch);
// The root, after every leaf has been given and every worker has returned. Its last merge is left to the
// caller, whose workers can share it: the gradient is that of the left child, and *other that of the right,
// NULL with one leaf. The caller gives both buffers back with mm_tree_return.
mm_partial mm_tree_root(const mm_tree *tree, float **other);
// A merge, or a part of one: sum[i] += other[i].
void mm_tree_add(float *sum, const float *other, size_t floats);
void mm_tree_return(mm_tree *tree, float *buffer);
// The tree's sum of arrays of `floats` floats, one for each leaf, which lie one behind the other: the first
// becomes the sum, the others hold parts of it.
void mm_tree_fold(float *arrays, int64_t leaves, size_t floats);

// Levels above the leaves: ceil(log2(leaves)).
int mm_tree_levels(int64_t leaves);
// Nodes of a level.
int64_t mm_tree_width(int64_t leaves, int level);

#endif

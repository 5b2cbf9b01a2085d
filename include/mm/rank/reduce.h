// The all-reduce of a step: a binary tree over its leaves, run as a combining tree (design: Arithmetic 6).
// Node (l, i) adds nodes (l-1, 2i) and (l-1, 2i+1); one without a right child passes through. Who computes a
// node is scheduling; what it adds is not.
#ifndef MM_RANK_REDUCE_H
#define MM_RANK_REDUCE_H

#include <mm/base/arena.h>
#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a leaf gives and a node merges.
typedef struct mm_partial {
    float *gradient; // `floats` of the tree, in parameter order
    double loss;     // sum over targets
    int64_t targets;
} mm_partial;

typedef struct mm_tree mm_tree;

// A tree of `leaves` leaves for at most `workers` workers over buffers of `floats` floats. Buffers are mapped
// when first used, at most mm_tree_buffers of them.
MM_CHECKED mm_status mm_tree_open(mm_tree **tree, int64_t leaves, int workers, size_t floats,
                                  mm_error *error);
void mm_tree_close(mm_tree *tree);
// min(leaves, workers * (1 + log2 of leaves, rounded up)).
int64_t mm_tree_buffers(int64_t leaves, int workers);

// Begins a step.
void mm_tree_begin(mm_tree *tree);
// The next leaf in order, or -1 when all are taken. Any worker; lock-free.
int64_t mm_tree_take(mm_tree *tree);
// A buffer of +0 for a leaf's gradient.
float *mm_tree_buffer(mm_tree *tree);

// Called for each node as it is completed, before it is merged into its parent, by the worker that completed
// it: level, index, its sum. A rank's gradient is node (log2(G/R), rank).
typedef struct mm_tree_watch {
    void *self;
    void (*node)(void *self, int level, int64_t index, const mm_partial *sum);
} mm_tree_watch;

// Gives leaf `leaf`'s result to the tree and carries it up as far as its siblings are complete.
void mm_tree_give(mm_tree *tree, int64_t leaf, mm_partial partial, const mm_tree_watch *watch);
// The root, after every leaf has been given and every worker has returned; the caller gives its buffer back.
mm_partial mm_tree_root(mm_tree *tree);
void mm_tree_return(mm_tree *tree, float *buffer);

// Levels above the leaves: ceil(log2(leaves)).
int mm_tree_levels(int64_t leaves);
// Nodes of a level.
int64_t mm_tree_width(int64_t leaves, int level);

#endif

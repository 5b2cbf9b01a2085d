// The table of random streams of a set of trials, and which of them are the same: it comes from the functions
// that training draws with, not from rules about policies.
#ifndef MM_RUN_SEEDS_H
#define MM_RUN_SEEDS_H

#include <mm/base/choices.h>
#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One stream of one purpose. rank -1: one stream for all ranks (or, under the policy sample, for all
// samples).
typedef struct mm_seed_stream {
    const char *purpose; // "initial_weights", "sample_order", "embedding_dropout", ...
    int trial;           // index into the seeds
    int rank;
    uint64_t key;
} mm_seed_stream;

typedef enum mm_seed_across { MM_ACROSS_RANKS, MM_ACROSS_EPOCHS, MM_ACROSS_TRIALS } mm_seed_across;

typedef struct mm_seed_member {
    int trial, rank, epoch; // epoch 1 or 2
} mm_seed_member;

// Draws that must differ and are the same numbers.
typedef struct mm_seed_group {
    const char *purpose;
    mm_seed_across across; // trials before ranks before epochs where members differ in several
    size_t first, count;   // in members
} mm_seed_group;

typedef struct mm_seed_table {
    mm_seed_stream *streams;
    size_t stream_count;
    mm_seed_member *members;
    mm_seed_group *groups;
    size_t group_count;
} mm_seed_table;

// `seeds` are the base seeds of `trials` trials. Free with mm_seed_table_free; after trouble the table is
// {0}. Names in it are static.
MM_CHECKED mm_status mm_seed_table_make(mm_seed_policy policy, const uint64_t *seeds, int trials, int ranks,
                                        mm_seed_table *table, mm_error *error);
void mm_seed_table_free(mm_seed_table *table);
// "ranks", "epochs", "trials".
const char *mm_seed_across_name(mm_seed_across across);

#endif

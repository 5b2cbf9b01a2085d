// Byte-pair encoding of one word: the adjacent pair whose merge stands first in the list is merged, the
// leftmost of equal ones first, until no pair has a merge. Source: R. Sennrich et al. (2016).
#ifndef MM_DATA_BPE_H
#define MM_DATA_BPE_H

#include "bpe_hash.h"

#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MM_BPE_NONE = -1 };

// A merge: where its pair stands in the list, and the token that it makes.
typedef struct mm_bpe_merge {
    int32_t rank, made; // rank MM_BPE_NONE: the pair has no merge
} mm_bpe_merge;

// All merges, a hash table by pair with open addressing. Immutable once filled.
typedef struct mm_bpe {
    uint64_t *keys; // mm_pair_key
    mm_bpe_merge *merges;
    size_t mask;     // slots - 1
    uint64_t key[2]; // of the hash
    int32_t ranks;   // ranks are below
} mm_bpe;

// Room for `count` merges. False if memory is out.
bool mm_bpe_make(mm_bpe *bpe, size_t count);
void mm_bpe_free(mm_bpe *bpe);
// The merge of a pair that was there already is replaced, as the library does. At most `count` pairs.
void mm_bpe_add(mm_bpe *bpe, int32_t first, int32_t second, int32_t rank, int32_t made);

static inline mm_bpe_merge mm_bpe_find(const mm_bpe *bpe, int32_t first, int32_t second) {
    uint64_t key = mm_pair_key(first, second);
    for (size_t slot = mm_table_hash(bpe->key, key) & bpe->mask;; slot = (slot + 1) & bpe->mask) {
        if (bpe->keys[slot] == key) return bpe->merges[slot];
        if (bpe->keys[slot] == UINT64_MAX) return (mm_bpe_merge){MM_BPE_NONE, MM_BPE_NONE};
    }
}

// What long words leave for the next, since to make it takes longer than most of them: room for each rank.
// {0} is none; always of one mm_bpe.
typedef struct mm_bpe_room {
    struct mm_bpe_waiting *ranks; // empty between words
    int32_t *heap;
} mm_bpe_room;
void mm_bpe_room_free(mm_bpe_room *room);

// Merges the n symbols in place; *left are left. Time n log n at most in the length, memory some 5 bytes a
// symbol for words longer than a few hundred symbols, on the stack for others.
MM_CHECKED mm_status mm_bpe_word(const mm_bpe *bpe, mm_bpe_room *room, int32_t *symbols, size_t n,
                                 size_t *left, mm_error *error);

// The same for words of any length (bpe_long.c); mm_bpe_word chooses.
MM_CHECKED mm_status mm_bpe_long_word(const mm_bpe *bpe, mm_bpe_room *room, int32_t *symbols, size_t n,
                                      size_t *left, mm_error *error);

#endif

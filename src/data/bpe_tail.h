// What may be merged over the end of a piece of text that goes on. With it a long word is merged piece by
// piece.
#ifndef MM_DATA_BPE_TAIL_H
#define MM_DATA_BPE_TAIL_H

#include "bpe.h"

// Of the pairs of one first token.
typedef struct mm_bpe_tail_pair {
    int32_t latest; // of the second token
    int32_t least;  // the smallest rank of this pair and of those before it
} mm_bpe_tail_pair;

// {0} is none. Immutable once made.
typedef struct mm_bpe_tail {
    size_t *starts;          // limit + 1: where the pairs of a first token begin
    mm_bpe_tail_pair *pairs; // every pair that has a merge; of one first token the largest latest first
    int32_t *latest;         // limit: the largest rank that the making of a token may take; -1 for symbols
    int32_t limit;           // tokens are below
} mm_bpe_tail;

// False if memory is out.
bool mm_bpe_tail_make(mm_bpe_tail *tail, const mm_bpe *bpe);
void mm_bpe_tail_free(mm_bpe_tail *tail);
// The smallest rank with which `last` may be merged with what stands behind it: `behind`, or a token whose
// making takes a rank of `since` or larger. INT32_MAX: with none.
int32_t mm_bpe_tail_rank(const mm_bpe_tail *tail, const mm_bpe *bpe, int32_t last, int32_t behind,
                         int32_t since);
// mm_bpe_word for a word that begins with these symbols and goes on, as far as what follows cannot change it:
// the first `merged` symbols become the `left` tokens of the whole word that stand for them (bpe_long.c). The
// rest of the word is a word of its own.
MM_CHECKED mm_status mm_bpe_beginning(const mm_bpe *bpe, const mm_bpe_tail *tail, mm_bpe_room *room,
                                      int32_t *symbols, size_t n, size_t *left, size_t *merged,
                                      mm_error *error);

#endif

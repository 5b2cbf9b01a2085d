// The learning of merges from counted words.
#ifndef MM_DATA_TOKENIZER_TRAIN_MERGE_H
#define MM_DATA_TOKENIZER_TRAIN_MERGE_H

#include "bpe_vocab.h"

#include <mm/base/status.h>
#include <mm/base/text.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Words of a text, in the order in which they first came, each with how often it came.
typedef struct mm_word_counts {
    mm_text pool; // the words' bytes, one after another
    size_t *ends; // count: where in the pool each word ends
    uint64_t *counts;
    uint32_t *slots; // open addressing by the word's hash: its number + 1, 0 where empty
    uint64_t key[2]; // of that hash; drawn with the first slots
    size_t count, capacity, slot_mask;
} mm_word_counts;

MM_CHECKED mm_status mm_word_counts_add(mm_word_counts *words, const char *word, size_t size, uint64_t times,
                                        mm_error *error);
void mm_word_counts_free(mm_word_counts *words);

typedef struct mm_learned_merge {
    int32_t first, second;
} mm_learned_merge;

// Adds tokens to `vocab`, which holds the byte symbols (byte_ids), until it has `wanted`, and says by which
// merges. Most frequent pair first; of equal ones that with the smaller first id, then the smaller second. A
// merge may make a token that another merge has made already. `name` is what messages call the text. *merges
// is malloc'ed. A text that gives too few is trouble where `exactly` so many are wanted. *stop (may be NULL)
// true: soon ends with MM_INTERRUPTED.
MM_CHECKED mm_status mm_learn_merges(const mm_word_counts *words, const char *name,
                                     const int32_t byte_ids[256], int32_t wanted, bool exactly,
                                     mm_vocab *vocab, mm_learned_merge **merges, size_t *count,
                                     const volatile sig_atomic_t *stop,
                                     void (*progress)(void *self, long done, long wanted), void *self,
                                     mm_error *error);

#endif

// Counting the words of documents, by several workers: each has a counter of its own, and the sums do not
// show who counted what.
#ifndef MM_DATA_TOKENIZER_TRAIN_COUNT_H
#define MM_DATA_TOKENIZER_TRAIN_COUNT_H

#include "pretokenize.h"
#include "tokenizer_added.h"
#include "tokenizer_train_merge.h"

typedef struct mm_word_counter {
    mm_added_finder specials; // what an encoder takes for a special token teaches nothing
    mm_pretokenizer_state *state;
    mm_word_counts words;
    mm_text repaired; // the document, where it was not UTF-8
} mm_word_counter;

// `pretokenizer` and `specials` must outlive it. Free it whatever happens.
MM_CHECKED mm_status mm_word_counter_begin(mm_word_counter *counter, const mm_pretokenizer *pretokenizer,
                                           const mm_added_set *specials, mm_error *error);
void mm_word_counter_free(mm_word_counter *counter);
MM_CHECKED mm_status mm_word_counter_add(mm_word_counter *counter, const char *text, size_t size,
                                         mm_error *error);
// Moves what `other` has counted to `counter`.
MM_CHECKED mm_status mm_word_counter_merge(mm_word_counter *counter, mm_word_counter *other, mm_error *error);

#endif

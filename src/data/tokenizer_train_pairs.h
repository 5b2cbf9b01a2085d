// Pairs of adjacent symbols while merges are learned: how often each comes, in which words, and which comes
// most.
#ifndef MM_DATA_TOKENIZER_TRAIN_PAIRS_H
#define MM_DATA_TOKENIZER_TRAIN_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mm_pair {
    uint64_t key; // mm_pair_key: the order of equally frequent pairs
    int64_t count;
    uint32_t *words; // those that have held it since it came up; some no longer do
    uint32_t word_count, word_capacity;
    bool grown; // since the queue last heard of it
} mm_pair;

// An entry of the queue, right when it was made: the pair's count may have changed since.
typedef struct mm_pair_entry {
    int64_t count;
    uint64_t key;
    uint32_t pair;
} mm_pair_entry;

typedef struct mm_pairs {
    mm_pair *pairs;
    size_t count, capacity;
    uint32_t *slots; // open addressing by key: the pair's number + 1, 0 where empty
    size_t slot_mask;
    mm_pair_entry *queue; // a heap, the most frequent first
    size_t queue_size, queue_capacity;
    uint32_t *grown; // pairs to tell the queue of
    size_t grown_count, grown_capacity;
    bool failed; // memory ran out; checked once, at the end
} mm_pairs;

void mm_pairs_free(mm_pairs *pairs);
// `word` holds the pair `times` more often than was known.
void mm_pairs_more(mm_pairs *pairs, int32_t first, int32_t second, int64_t times, uint32_t word);
void mm_pairs_less(mm_pairs *pairs, int32_t first, int32_t second, int64_t times);
// Tells the queue of the pairs that have grown.
void mm_pairs_settle(mm_pairs *pairs);
// The most frequent pair, of equal ones that with the smallest key, or NULL where none is left. Its words are
// the caller's, to be freed.
mm_pair *mm_pairs_take(mm_pairs *pairs);

#endif

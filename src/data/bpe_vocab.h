// Tokens by number and by text.
#ifndef MM_DATA_BPE_VOCAB_H
#define MM_DATA_BPE_VOCAB_H

#include <mm/base/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mm_vocab {
    mm_text pool;     // the texts, one after another
    size_t *starts;   // limit: where in the pool the text of id lies
    uint32_t *sizes;  // limit
    bool *present;    // limit: has the id a token?
    int32_t limit;    // ids are below
    int32_t count;    // of tokens
    int32_t *slots;   // open addressing by the text's hash; -1 where empty
    size_t slot_mask; // slots - 1
    uint64_t key[2];  // of that hash
} mm_vocab;

// Room for `count` tokens with ids below `limit`. False if memory is out.
bool mm_vocab_make(mm_vocab *vocab, size_t count, int32_t limit);
void mm_vocab_free(mm_vocab *vocab);
typedef enum mm_vocab_added {
    MM_VOCAB_ADDED,
    MM_VOCAB_SAME_ID,  // another token has the id
    MM_VOCAB_SAME_TEXT // another id has the text
} mm_vocab_added;
// At most `count` times, 0 <= id < limit. Running out of memory is remembered in pool.failed.
mm_vocab_added mm_vocab_add(mm_vocab *vocab, const char *text, size_t size, int32_t id);
int32_t mm_vocab_find(const mm_vocab *vocab, const char *text, size_t size); // -1 if there is none
// NULL for an id without a token. Not terminated.
const char *mm_vocab_text(const mm_vocab *vocab, int32_t id, size_t *size);

// A hash of short texts for tables in memory (never stored).
uint64_t mm_word_hash(const char *text, size_t size);

#endif

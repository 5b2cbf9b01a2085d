// Hashes for tables that hold what a file says, under a key that no file knows: texts or pairs of one hash
// would take the square of their number to put in. Where something stands in a table never shows in a result.
#ifndef MM_DATA_BPE_HASH_H
#define MM_DATA_BPE_HASH_H

#include <stddef.h>
#include <stdint.h>

// A pair of symbols as one number, which orders pairs by their first.
static inline uint64_t mm_pair_key(int32_t first, int32_t second) {
    return (uint64_t)(uint32_t)first << 32 | (uint32_t)second;
}

static inline int32_t mm_pair_first(uint64_t key) {
    return (int32_t)(key >> 32);
}

static inline int32_t mm_pair_second(uint64_t key) {
    return (int32_t)(uint32_t)key;
}

// Drawn for each table (bpe_vocab.c).
void mm_table_key(uint64_t key[2]);

static inline uint64_t mm_table_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t mm_table_hash(const uint64_t key[2], uint64_t value) {
    return mm_table_fold(value ^ key[1], key[0]);
}

uint64_t mm_table_text_hash(const uint64_t key[2], const char *text, size_t size);

#endif

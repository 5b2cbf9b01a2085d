// XXH3-128, the fingerprint of every stream of bytes. Source: xxHash (github.com/Cyan4973/xxHash), XXH3 of
// 128 bits with seed 0. Thread safe but for a hasher, which is one thread's.
#ifndef MM_BASE_HASH_H
#define MM_BASE_HASH_H

#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mm_hash {
    uint64_t low, high;
} mm_hash;

enum { MM_HASH_TEXT = 33 }; // 32 hex digits and the end

mm_hash mm_hash_bytes(const void *data, size_t size);
// `rows` rows of `row_bytes` bytes, `stride` bytes apart, as if they were contiguous. Allocates nothing.
mm_hash mm_hash_rows(const void *data, size_t rows, size_t row_bytes, size_t stride);
bool mm_hash_equal(mm_hash a, mm_hash b);
// 32 lower-case hex digits as xxh128sum prints them (high half first). Returns `text`.
char *mm_hash_print(mm_hash hash, char text[MM_HASH_TEXT]);
// False, and *hash as it was, if the text is not exactly 32 lower-case hex digits.
bool mm_hash_parse(const char *text, mm_hash *hash);

// In pieces. A hasher is empty when it is new or reset. mm_hasher_new returns NULL when memory is out;
// mm_hasher_free(NULL) does nothing. mm_hasher_end gives the hash of what was added so far; more may be added
// after it.
typedef struct mm_hasher mm_hasher;
mm_hasher *mm_hasher_new(void);
void mm_hasher_free(mm_hasher *hasher);
void mm_hasher_reset(mm_hasher *hasher);
void mm_hasher_add(mm_hasher *hasher, const void *data, size_t size);
mm_hash mm_hasher_end(const mm_hasher *hasher);

#endif

// XXH3-128 (xxHash), the fingerprint of every stream of bytes.
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
// `rows` rows of `row_bytes` bytes, `stride` bytes apart, as if they were contiguous.
mm_hash mm_hash_rows(const void *data, size_t rows, size_t row_bytes, size_t stride);
bool mm_hash_equal(mm_hash a, mm_hash b);
// 32 lower-case hex digits as xxh128sum prints them (high half first). Returns `text`.
char *mm_hash_print(mm_hash hash, char text[MM_HASH_TEXT]);
bool mm_hash_parse(const char *text, mm_hash *hash);

// In pieces. mm_hasher_new returns NULL when memory is out.
typedef struct mm_hasher mm_hasher;
mm_hasher *mm_hasher_new(void);
void mm_hasher_free(mm_hasher *hasher);
void mm_hasher_reset(mm_hasher *hasher);
void mm_hasher_add(mm_hasher *hasher, const void *data, size_t size);
mm_hash mm_hasher_end(const mm_hasher *hasher);

#endif

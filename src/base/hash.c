#include <mm/base/hash.h>

#include <stdlib.h>
// Compiled in, so that a state on the stack is always of the size that the functions expect.
#define XXH_INLINE_ALL
#include <xxhash.h>

struct mm_hasher {
    XXH3_state_t *state;
};

static mm_hash of_xxh(XXH128_hash_t hash) {
    return (mm_hash){.low = hash.low64, .high = hash.high64};
}

mm_hash mm_hash_bytes(const void *data, size_t size) {
    return of_xxh(XXH3_128bits(data, size));
}

mm_hash mm_hash_rows(const void *data, size_t rows, size_t row_bytes, size_t stride) {
    if (rows <= 1 || row_bytes == stride) return mm_hash_bytes(data, rows * row_bytes);
    // On the stack: hashing inside a worker must not allocate. The state aligns itself to 64 bytes.
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (size_t row = 0; row < rows; row++)
        XXH3_128bits_update(&state, (const unsigned char *)data + row * stride, row_bytes);
    return of_xxh(XXH3_128bits_digest(&state));
}

bool mm_hash_equal(mm_hash a, mm_hash b) {
    return a.low == b.low && a.high == b.high;
}

char *mm_hash_print(mm_hash hash, char text[MM_HASH_TEXT]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        uint64_t half = i < 16 ? hash.high : hash.low;
        text[i] = digits[half >> (60 - 4 * (i % 16)) & 15];
    }
    text[32] = 0;
    return text;
}

bool mm_hash_parse(const char *text, mm_hash *hash) {
    uint64_t halves[2] = {0, 0};
    for (int i = 0; i < 32; i++) {
        char c = text[i];
        int digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else
            return false;
        halves[i / 16] = halves[i / 16] << 4 | (uint64_t)digit;
    }
    if (text[32]) return false;
    *hash = (mm_hash){.high = halves[0], .low = halves[1]};
    return true;
}

mm_hasher *mm_hasher_new(void) {
    mm_hasher *hasher = malloc(sizeof *hasher);
    if (!hasher) return NULL;
    hasher->state = XXH3_createState();
    if (!hasher->state) {
        free(hasher);
        return NULL;
    }
    mm_hasher_reset(hasher);
    return hasher;
}

void mm_hasher_free(mm_hasher *hasher) {
    if (!hasher) return;
    XXH3_freeState(hasher->state);
    free(hasher);
}

void mm_hasher_reset(mm_hasher *hasher) {
    XXH3_128bits_reset(hasher->state);
}

void mm_hasher_add(mm_hasher *hasher, const void *data, size_t size) {
    if (size) XXH3_128bits_update(hasher->state, data, size);
}

mm_hash mm_hasher_end(const mm_hasher *hasher) {
    return of_xxh(XXH3_128bits_digest(hasher->state));
}

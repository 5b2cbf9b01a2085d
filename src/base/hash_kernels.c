#include "hash_kernels.h"

// Compiled in, so that the hash is as wide as the build, and a state on the stack always of the size that the
// functions expect.
#define XXH_INLINE_ALL
#include <xxhash.h>

static mm_hash of_xxh(XXH128_hash_t hash) {
    return (mm_hash){.low = hash.low64, .high = hash.high64};
}

static mm_hash bytes(const void *data, size_t size) {
    return of_xxh(XXH3_128bits(data, size));
}

static mm_hash rows_of(const void *data, size_t rows, size_t row_bytes, size_t stride) {
    // On the stack: hashing inside a worker must not allocate. The state aligns itself to 64 bytes.
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (size_t row = 0; row < rows; row++)
        XXH3_128bits_update(&state, (const unsigned char *)data + row * stride, row_bytes);
    return of_xxh(XXH3_128bits_digest(&state));
}

static void *new_state(void) {
    return XXH3_createState();
}

static void free_state(void *state) {
    XXH3_freeState(state);
}

static void begin(void *state) {
    XXH3_128bits_reset(state);
}

static void add(void *state, const void *data, size_t size) {
    if (size) XXH3_128bits_update(state, data, size);
}

static mm_hash end(const void *state) {
    return of_xxh(XXH3_128bits_digest(state));
}

const mm_hash_kernels MM_BUILD(mm_hash) = {.bytes = bytes,
                                           .rows = rows_of,
                                           .new_state = new_state,
                                           .free_state = free_state,
                                           .begin = begin,
                                           .add = add,
                                           .end = end};

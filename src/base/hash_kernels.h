// What of hash.h touches bytes, compiled for each build of the CPU's vectors; all give the same hash.
#ifndef MM_BASE_HASH_KERNELS_H
#define MM_BASE_HASH_KERNELS_H

#include <mm/base/hash.h>
#include <mm/base/isa.h>

typedef struct mm_hash_kernels {
    mm_hash (*bytes)(const void *data, size_t size);
    mm_hash (*rows)(const void *data, size_t rows, size_t row_bytes, size_t stride);
    // A state for pieces: NULL when memory is out, and may be NULL to free_state. begin comes first.
    void *(*new_state)(void);
    void (*free_state)(void *state);
    void (*begin)(void *state);
    void (*add)(void *state, const void *data, size_t size);
    mm_hash (*end)(const void *state);
} mm_hash_kernels;

MM_DECLARE_BUILDS(mm_hash_kernels, mm_hash);

#endif

#include <mm/base/hash.h>

#include "hash_kernels.h"
#include <mm/base/isa.h>
#include <stdatomic.h>
#include <stdlib.h>

struct mm_hasher {
    const mm_hash_kernels *kernels;
    void *state;
};

// As the other kernels are picked. $MM_ISA is read once; a name in it that is none is whoever picks those's
// to complain of.
static const mm_hash_kernels *picked(void) {
    static const mm_hash_kernels *const builds[] = MM_BUILDS(mm_hash);
    static _Atomic(const mm_hash_kernels *) kept;
    const mm_hash_kernels *kernels = atomic_load_explicit(&kept, memory_order_relaxed);
    if (kernels) return kernels;
    mm_isa isa;
    mm_error unused;
    if (mm_isa_pick(&isa, &unused)) isa = mm_isa_best();
    atomic_store_explicit(&kept, builds[isa], memory_order_relaxed);
    return builds[isa];
}

mm_hash mm_hash_bytes(const void *data, size_t size) {
    return picked()->bytes(data, size);
}

mm_hash mm_hash_rows(const void *data, size_t rows, size_t row_bytes, size_t stride) {
    if (rows <= 1 || row_bytes == stride) return mm_hash_bytes(data, rows * row_bytes);
    return picked()->rows(data, rows, row_bytes, stride);
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
    hasher->kernels = picked();
    hasher->state = hasher->kernels->new_state();
    if (!hasher->state) {
        free(hasher);
        return NULL;
    }
    mm_hasher_reset(hasher);
    return hasher;
}

void mm_hasher_free(mm_hasher *hasher) {
    if (!hasher) return;
    hasher->kernels->free_state(hasher->state);
    free(hasher);
}

void mm_hasher_reset(mm_hasher *hasher) {
    hasher->kernels->begin(hasher->state);
}

void mm_hasher_add(mm_hasher *hasher, const void *data, size_t size) {
    hasher->kernels->add(hasher->state, data, size);
}

mm_hash mm_hasher_end(const mm_hasher *hasher) {
    return hasher->kernels->end(hasher->state);
}

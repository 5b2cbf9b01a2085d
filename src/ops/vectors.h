// Vectors of floats by name, for what compilers do not make of plain loops: as wide as the build has them,
// a fused multiply-add of all lanes at once, and the transposing of four by four.
#ifndef MM_OPS_VECTORS_H
#define MM_OPS_VECTORS_H

#include "lanes.h"
#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
enum { VECTOR = 16 };
#elif defined(__AVX2__)
enum { VECTOR = 8 };
#else
enum { VECTOR = 4 };
#endif

typedef float vector __attribute__((vector_size(VECTOR * sizeof(float))));
// Those of memory that is aligned for floats alone.
typedef float loose_vector
    __attribute__((vector_size(VECTOR * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef float quad __attribute__((vector_size(4 * sizeof(float))));
typedef float loose_quad __attribute__((vector_size(4 * sizeof(float)), aligned(sizeof(float)), may_alias));

// Four of the eight numbers of two vectors, by a spelling that older compilers have too.
#if defined(__clang__)
#define SHUFFLE(x, y, i, j, k, l) __builtin_shufflevector(x, y, i, j, k, l)
#else
typedef int quad_of_places __attribute__((vector_size(4 * sizeof(int))));
#define SHUFFLE(x, y, i, j, k, l) __builtin_shuffle(x, y, (quad_of_places){i, j, k, l})
#endif

MM_INLINE vector vector_of(float x) {
#if defined(__AVX512F__)
    return (vector)_mm512_set1_ps(x);
#elif defined(__AVX2__)
    return (vector)_mm256_set1_ps(x);
#else
    return (vector){x, x, x, x};
#endif
}

MM_INLINE vector vector_fma(vector a, vector b, vector c) {
#if defined(__AVX512F__)
    return (vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    for (int l = 0; l < VECTOR; l++) c[l] = fmaf(a[l], b[l], c[l]);
    return c;
#endif
}

// to[4 rows, to_row apart] = the transpose of from[4 rows, from_row apart].
MM_INLINE void transpose_quads(const float *from, int64_t from_row, float *to, int64_t to_row) {
    const quad a = *(const loose_quad *)from, b = *(const loose_quad *)(from + from_row);
    const quad c = *(const loose_quad *)(from + 2 * from_row), d = *(const loose_quad *)(from + 3 * from_row);
    const quad ab_low = SHUFFLE(a, b, 0, 4, 1, 5), ab_high = SHUFFLE(a, b, 2, 6, 3, 7);
    const quad cd_low = SHUFFLE(c, d, 0, 4, 1, 5), cd_high = SHUFFLE(c, d, 2, 6, 3, 7);
    *(loose_quad *)to = SHUFFLE(ab_low, cd_low, 0, 1, 4, 5);
    *(loose_quad *)(to + to_row) = SHUFFLE(ab_low, cd_low, 2, 3, 6, 7);
    *(loose_quad *)(to + 2 * to_row) = SHUFFLE(ab_high, cd_high, 0, 1, 4, 5);
    *(loose_quad *)(to + 3 * to_row) = SHUFFLE(ab_high, cd_high, 2, 3, 6, 7);
}

#endif

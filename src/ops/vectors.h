// Vectors of floats by name, for what compilers do not make of plain loops: as wide as the build has them,
// a fused multiply-add of all lanes at once, and the transposing of four rows.
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
typedef float loose_quad __attribute__((vector_size(4 * sizeof(float)), aligned(sizeof(float)), may_alias));

// Four of the eight numbers of two vectors of four, by a spelling that older compilers have too.
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

// Of every four numbers of x and y: x0 y0 x1 y1, x2 y2 x3 y3, x0 x1 y0 y1, x2 x3 y2 y3.
#if defined(__AVX512F__)
#define LOW_PAIRS(x, y) (vector) _mm512_unpacklo_ps((__m512)(x), (__m512)(y))
#define HIGH_PAIRS(x, y) (vector) _mm512_unpackhi_ps((__m512)(x), (__m512)(y))
#define LOW_HALVES(x, y) (vector) _mm512_unpacklo_pd((__m512d)(x), (__m512d)(y))
#define HIGH_HALVES(x, y) (vector) _mm512_unpackhi_pd((__m512d)(x), (__m512d)(y))
#elif defined(__AVX2__)
#define LOW_PAIRS(x, y) (vector) _mm256_unpacklo_ps((__m256)(x), (__m256)(y))
#define HIGH_PAIRS(x, y) (vector) _mm256_unpackhi_ps((__m256)(x), (__m256)(y))
#define LOW_HALVES(x, y) (vector) _mm256_unpacklo_pd((__m256d)(x), (__m256d)(y))
#define HIGH_HALVES(x, y) (vector) _mm256_unpackhi_pd((__m256d)(x), (__m256d)(y))
#else
#define LOW_PAIRS(x, y) SHUFFLE(x, y, 0, 4, 1, 5)
#define HIGH_PAIRS(x, y) SHUFFLE(x, y, 2, 6, 3, 7)
#define LOW_HALVES(x, y) SHUFFLE(x, y, 0, 1, 4, 5)
#define HIGH_HALVES(x, y) SHUFFLE(x, y, 2, 3, 6, 7)
#endif

// Every four numbers of v to rows of `to`, four rows apart.
MM_INLINE void store_quads(vector v, float *to, int64_t row) {
#if defined(__AVX512F__)
    _mm_storeu_ps(to, _mm512_castps512_ps128((__m512)v));
    _mm_storeu_ps(to + 4 * row, _mm512_extractf32x4_ps((__m512)v, 1));
    _mm_storeu_ps(to + 8 * row, _mm512_extractf32x4_ps((__m512)v, 2));
    _mm_storeu_ps(to + 12 * row, _mm512_extractf32x4_ps((__m512)v, 3));
#elif defined(__AVX2__)
    _mm_storeu_ps(to, _mm256_castps256_ps128((__m256)v));
    _mm_storeu_ps(to + 4 * row, _mm256_extractf128_ps((__m256)v, 1));
#else
    (void)row;
    *(loose_vector *)to = v;
#endif
}

// to[VECTOR rows of 4, to_row apart] = the transpose of from[4 rows of VECTOR, from_row apart].
MM_INLINE void transpose(const float *from, int64_t from_row, float *to, int64_t to_row) {
    const vector a = *(const loose_vector *)from, b = *(const loose_vector *)(from + from_row);
    const vector c = *(const loose_vector *)(from + 2 * from_row),
                 d = *(const loose_vector *)(from + 3 * from_row);
    const vector ab_low = LOW_PAIRS(a, b), ab_high = HIGH_PAIRS(a, b);
    const vector cd_low = LOW_PAIRS(c, d), cd_high = HIGH_PAIRS(c, d);
    store_quads(LOW_HALVES(ab_low, cd_low), to, to_row);
    store_quads(HIGH_HALVES(ab_low, cd_low), to + to_row, to_row);
    store_quads(LOW_HALVES(ab_high, cd_high), to + 2 * to_row, to_row);
    store_quads(HIGH_HALVES(ab_high, cd_high), to + 3 * to_row, to_row);
}

#endif

// The Philox loop that operations inline: 64 words at a time, in a stated shape of 16 lanes, cut into vectors
// of the machine's width, which leaves no mark on the words. See rng.h for the definition.
#ifndef MM_BASE_PHILOX_H
#define MM_BASE_PHILOX_H

#include <mm/base/rng.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { MM_PHILOX_LANES = 16, MM_PHILOX_WORDS = 64 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pairs of words are stored as 64-bit numbers");

// A vector of 64-bit lanes that hold a 32-bit word each; what is above it is ignored.
#if defined(__AVX2__)
enum { MM_PHILOX_WIDTH = 4 };
#else
enum { MM_PHILOX_WIDTH = 2 };
#endif
typedef uint64_t mm_philox_vector __attribute__((vector_size(8 * MM_PHILOX_WIDTH)));

// The 64-bit products of the words with `factor`: one instruction, which compilers do not all find.
static inline mm_philox_vector mm_philox_multiply(mm_philox_vector words, uint32_t factor) {
#if defined(__AVX2__)
    return (mm_philox_vector)_mm256_mul_epu32((__m256i)words, _mm256_set1_epi64x(factor));
#elif defined(__SSE2__)
    return (mm_philox_vector)_mm_mul_epu32((__m128i)words, _mm_set1_epi64x(factor));
#elif defined(__aarch64__)
    return (mm_philox_vector)vmull_u32(vmovn_u64((uint64x2_t)words), vdup_n_u32(factor));
#else
    return (words & 0xffffffffu) * (uint64_t)factor;
#endif
}

// Stores the blocks whose words 0 and 1 are the lanes of `low`, and words 2 and 3 those of `high`.
static inline void mm_philox_store(mm_philox_vector low, mm_philox_vector high, uint32_t *out) {
#if defined(__AVX2__)
    const mm_philox_vector first = {low[0], high[0], low[1], high[1]};
    const mm_philox_vector second = {low[2], high[2], low[3], high[3]};
#else
    const mm_philox_vector first = {low[0], high[0]}, second = {low[1], high[1]};
#endif
    memcpy(out, &first, sizeof first);
    memcpy(out + sizeof first / 4, &second, sizeof second);
}

// Half of the lanes, blocks `block` to `block` + 7: their state fits the registers.
static inline void mm_philox_half(const mm_stream *stream, uint64_t block,
                                  uint32_t out[MM_PHILOX_WORDS / 2]) {
    enum { VECTORS = MM_PHILOX_LANES / 2 / MM_PHILOX_WIDTH };
    mm_philox_vector c0[VECTORS], c1[VECTORS], c2[VECTORS], c3[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        mm_philox_vector b;
        for (int l = 0; l < MM_PHILOX_WIDTH; l++) b[l] = block + (uint64_t)(v * MM_PHILOX_WIDTH + l);
        c0[v] = b;
        c1[v] = b >> 32 | stream->word1;
        c2[v] = (mm_philox_vector){0} + stream->word2;
        c3[v] = (mm_philox_vector){0} + stream->word3;
    }
    uint32_t k0 = (uint32_t)stream->key, k1 = (uint32_t)(stream->key >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        for (int v = 0; v < VECTORS; v++) {
            mm_philox_vector p0 = mm_philox_multiply(c0[v], 0xD2511F53u);
            mm_philox_vector p1 = mm_philox_multiply(c2[v], 0xCD9E8D57u);
            c0[v] = p1 >> 32 ^ c1[v] ^ k0;
            c2[v] = p0 >> 32 ^ c3[v] ^ k1;
            c1[v] = p1;
            c3[v] = p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int v = 0; v < VECTORS; v++)
        mm_philox_store((c0[v] & 0xffffffffu) | c1[v] << 32, (c2[v] & 0xffffffffu) | c3[v] << 32,
                        out + 4 * MM_PHILOX_WIDTH * v);
}

// Words of elements origin + first .. origin + first + 63 of the stream; `first` a multiple of 64 (and origin
// of 4).
static inline void mm_philox_words(const mm_stream *stream, uint64_t first, uint32_t out[MM_PHILOX_WORDS]) {
    uint64_t block = (stream->origin + first) / 4;
    // Not unrolled: mixed with each other the halves would not fit the registers.
#pragma GCC unroll 1
    for (int half = 0; half < 2; half++)
        mm_philox_half(stream, block + (uint64_t)(half * MM_PHILOX_LANES / 2),
                       out + half * MM_PHILOX_WORDS / 2);
}

// The word below which an element is dropped: floor(p * 2^32).
static inline uint32_t mm_dropout_threshold(double p) {
    return (uint32_t)(p * 4294967296.0);
}

#endif

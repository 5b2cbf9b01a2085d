// The Philox loop that operations inline: 64 words at a time, in a stated shape of 16 lanes, cut into vectors
// of the machine's width, which leaves no mark on the words. See rng.h for the definition.
#ifndef MM_BASE_PHILOX_H
#define MM_BASE_PHILOX_H

#include <assert.h>
#include <mm/base/rng.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { MM_PHILOX_WORDS = 64 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pairs of words are stored as 64-bit numbers");

// A vector of 64-bit lanes that hold a 32-bit word each; what is above it is ignored. So many are worked on
// side by side: one waits while the other works, and the registers hold their state.
#if defined(__AVX512F__)
enum { MM_PHILOX_WIDTH = 8, MM_PHILOX_VECTORS = 2 };
#elif defined(__AVX2__)
enum { MM_PHILOX_WIDTH = 4, MM_PHILOX_VECTORS = 2 };
#else
enum { MM_PHILOX_WIDTH = 2, MM_PHILOX_VECTORS = 4 };
#endif
typedef uint64_t mm_philox_vector __attribute__((vector_size(8 * MM_PHILOX_WIDTH)));

// The 64-bit products of the words with `factor`: one instruction, which compilers do not all find.
static inline mm_philox_vector mm_philox_multiply(mm_philox_vector words, uint32_t factor) {
#if defined(__AVX512F__)
    return (mm_philox_vector)_mm512_mul_epu32((__m512i)words, _mm512_set1_epi64(factor));
#elif defined(__AVX2__)
    return (mm_philox_vector)_mm256_mul_epu32((__m256i)words, _mm256_set1_epi64x(factor));
#elif defined(__SSE2__)
    return (mm_philox_vector)_mm_mul_epu32((__m128i)words, _mm_set1_epi64x(factor));
#elif defined(__aarch64__)
    return (mm_philox_vector)vmull_u32(vmovn_u64((uint64x2_t)words), vdup_n_u32(factor));
#else
    return (words & 0xffffffffu) * (uint64_t)factor;
#endif
}

// The halves of each lane exchanged: one instruction, as above.
static inline mm_philox_vector mm_philox_swap(mm_philox_vector lanes) {
#if defined(__AVX512F__)
    return (mm_philox_vector)_mm512_shuffle_epi32((__m512i)lanes, (_MM_PERM_ENUM)0xb1);
#elif defined(__AVX2__)
    return (mm_philox_vector)_mm256_shuffle_epi32((__m256i)lanes, 0xb1);
#elif defined(__SSE2__)
    return (mm_philox_vector)_mm_shuffle_epi32((__m128i)lanes, 0xb1);
#else
    return lanes >> 32 | lanes << 32;
#endif
}

// Stores the blocks whose words 0 and 1 are the lanes of `low`, and words 2 and 3 those of `high`, in order
// of mm_philox_counters.
static inline void mm_philox_store(mm_philox_vector low, mm_philox_vector high, uint32_t *out) {
#if defined(__AVX512F__)
    const __m512i first = _mm512_unpacklo_epi64((__m512i)low, (__m512i)high);
    const __m512i second = _mm512_unpackhi_epi64((__m512i)low, (__m512i)high);
#elif defined(__AVX2__)
    const __m256i first = _mm256_unpacklo_epi64((__m256i)low, (__m256i)high);
    const __m256i second = _mm256_unpackhi_epi64((__m256i)low, (__m256i)high);
#else
    const mm_philox_vector first = {low[0], high[0]}, second = {low[1], high[1]};
#endif
    memcpy(out, &first, sizeof first);
    memcpy(out + sizeof first / 4, &second, sizeof second);
}

// Numbers of the blocks of a vector's lanes: as they must stand for mm_philox_store to need no third step.
static inline mm_philox_vector mm_philox_counters(uint64_t block) {
#if defined(__AVX512F__)
    return block + (mm_philox_vector){0, 4, 1, 5, 2, 6, 3, 7};
#elif defined(__AVX2__)
    return block + (mm_philox_vector){0, 2, 1, 3};
#else
    return block + (mm_philox_vector){0, 1};
#endif
}

static inline mm_philox_vector mm_philox_all(uint64_t word) {
    return (mm_philox_vector){0} + word;
}

enum { MM_PHILOX_ROUNDS = 10 };
#define MM_PHILOX_MULTIPLY_0 0xD2511F53u
#define MM_PHILOX_MULTIPLY_1 0xCD9E8D57u

// What the loop needs of a stream, made once for many words: the keys of the rounds, and of rounds 0 and 1
// what is the same in all blocks of a call, since only word 0 of the counter differs among them.
typedef struct mm_philox {
    mm_philox_vector keys[MM_PHILOX_ROUNDS][2]; // of rounds 2 and on
    mm_philox_vector first, second;             // what words 2 of round 0 and 0 of round 1 take in
    uint64_t block;                             // of the stream's first element
    uint32_t word0;                             // after round 0, but for the counter's word 1
    uint32_t word1;                             // the counter's, without the block's high bits
    uint32_t key1;                              // of word 2 in round 1
} mm_philox;

static inline void mm_philox_open(mm_philox *philox, const mm_stream *stream) {
    assert(stream->origin % MM_PHILOX_WORDS == 0);
    uint32_t k0[MM_PHILOX_ROUNDS], k1[MM_PHILOX_ROUNDS];
    for (uint32_t round = 0; round < MM_PHILOX_ROUNDS; round++) {
        k0[round] = (uint32_t)stream->key + round * 0x9E3779B9u;
        k1[round] = (uint32_t)(stream->key >> 32) + round * 0xBB67AE85u;
        philox->keys[round][0] = mm_philox_all(k0[round]);
        philox->keys[round][1] = mm_philox_all(k1[round]);
    }
    const uint64_t product = (uint64_t)stream->word2 * MM_PHILOX_MULTIPLY_1;
    philox->first = mm_philox_all(stream->word3 ^ k1[0]);
    philox->second = mm_philox_all((uint32_t)product ^ k0[1]);
    philox->block = stream->origin / 4;
    philox->word0 = (uint32_t)(product >> 32) ^ k0[0];
    philox->word1 = stream->word1;
    philox->key1 = k1[1];
}

// Part of the lanes, from block `block` on. `third` is what word 2 takes in in round 1, `fourth` word 3 after
// it.
static inline void mm_philox_part(const mm_philox *philox, uint64_t block, mm_philox_vector third,
                                  mm_philox_vector fourth, uint32_t *out) {
    enum { VECTORS = MM_PHILOX_VECTORS };
    mm_philox_vector c0[VECTORS], c1[VECTORS], c2[VECTORS], c3[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        const mm_philox_vector counters = mm_philox_counters(block + (uint64_t)(v * MM_PHILOX_WIDTH));
        const mm_philox_vector p0 = mm_philox_multiply(counters, MM_PHILOX_MULTIPLY_0);
        const mm_philox_vector p1 = mm_philox_multiply(p0 >> 32 ^ philox->first, MM_PHILOX_MULTIPLY_1);
        // After rounds 0 and 1:
        c0[v] = p1 >> 32 ^ philox->second;
        c1[v] = p1;
        c2[v] = p0 ^ third;
        c3[v] = fourth;
    }
#pragma GCC unroll 10
    for (int round = 2; round < MM_PHILOX_ROUNDS - 1; round++)
        for (int v = 0; v < VECTORS; v++) {
            const mm_philox_vector p0 = mm_philox_multiply(c0[v], MM_PHILOX_MULTIPLY_0);
            const mm_philox_vector p1 = mm_philox_multiply(c2[v], MM_PHILOX_MULTIPLY_1);
            c0[v] = p1 >> 32 ^ (c1[v] ^ philox->keys[round][0]);
            c2[v] = p0 >> 32 ^ (c3[v] ^ philox->keys[round][1]);
            c1[v] = p1;
            c3[v] = p0;
        }
    const mm_philox_vector *last = philox->keys[MM_PHILOX_ROUNDS - 1];
    for (int v = 0; v < VECTORS; v++) {
        const mm_philox_vector p0 = mm_philox_multiply(c0[v], MM_PHILOX_MULTIPLY_0);
        const mm_philox_vector p1 = mm_philox_multiply(c2[v], MM_PHILOX_MULTIPLY_1);
        mm_philox_store(mm_philox_swap(p1) ^ ((c1[v] ^ last[0]) & 0xffffffffu),
                        mm_philox_swap(p0) ^ ((c3[v] ^ last[1]) & 0xffffffffu),
                        out + 4 * MM_PHILOX_WIDTH * v);
    }
}

// Words of elements first .. first + count - 1 of the stream, and of some that follow; `first` a multiple of
// 64, `count` at most 64, which is what `out` has room for.
static inline void mm_philox_words(const mm_philox *philox, uint64_t first, int count,
                                   uint32_t out[MM_PHILOX_WORDS]) {
    const uint64_t block = philox->block + first / 4; // 16 blocks from a multiple of 16: one high word
    const uint64_t product =
        (uint64_t)(philox->word0 ^ (philox->word1 | (uint32_t)(block >> 32))) * MM_PHILOX_MULTIPLY_0;
    const mm_philox_vector third = mm_philox_all((uint32_t)(product >> 32) ^ philox->key1);
    const mm_philox_vector fourth = mm_philox_all((uint32_t)product);
    enum { BLOCKS = MM_PHILOX_VECTORS * MM_PHILOX_WIDTH };
    // Not unrolled: mixed with each other the parts would not fit the registers.
#pragma GCC unroll 1
    for (int i = 0; 4 * i < count; i += BLOCKS)
        mm_philox_part(philox, block + (uint64_t)i, third, fourth, out + 4 * i);
}

// The word below which an element is dropped: floor(p * 2^32).
static inline uint32_t mm_dropout_threshold(double p) {
    return (uint32_t)(p * 4294967296.0);
}

#endif

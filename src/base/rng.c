#include <mm/base/rng.h>

#include <assert.h>
#include <math.h>
#include <mm/base/mathfn.h>
#include <stdbool.h>

enum { FEISTEL_ROUNDS = 8 };

mm_stream mm_stream_of(const mm_draw *draw, mm_purpose purpose, int layer, uint64_t per_sample) {
    assert((unsigned)purpose < 256 && layer >= 0 && layer < 4096);
    uint64_t room = (per_sample + 63) / 64 * 64, origin;
    bool overflow = __builtin_mul_overflow(room, draw->sample, &origin);
    assert(!overflow && origin < MM_STREAM_ELEMENTS && room <= MM_STREAM_ELEMENTS - origin);
    (void)overflow;
    return (mm_stream){
        .key = draw->key,
        .word1 = (uint32_t)purpose << 24 | (uint32_t)layer << 12,
        .word2 = draw->word2,
        .word3 = draw->word3,
        .origin = origin,
    };
}

void mm_philox4x32(uint64_t key, const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static void stream_block(const mm_stream *stream, uint64_t element, uint32_t out[4]) {
    uint64_t block = (stream->origin + element) / 4;
    const uint32_t counter[4] = {(uint32_t)block, stream->word1 | (uint32_t)(block >> 32), stream->word2,
                                 stream->word3};
    mm_philox4x32(stream->key, counter, out);
}

uint32_t mm_stream_word(const mm_stream *stream, uint64_t element) {
    uint32_t words[4];
    stream_block(stream, element, words);
    return words[element % 4];
}

uint64_t mm_hash_seed(uint64_t a, uint64_t b) {
    const uint32_t counter[4] = {(uint32_t)b, (uint32_t)MM_PURPOSE_HASH << 24, (uint32_t)(b >> 32), 0};
    uint32_t words[4];
    mm_philox4x32(a, counter, words);
    return (uint64_t)words[1] << 32 | words[0];
}

// Box-Muller: two words to two normal numbers.
static void normal_pair(uint32_t radius_word, uint32_t angle_word, float out[2]) {
    const double two_pi = 0x1.921fb54442d18p+2;
    double radius = sqrt(-2.0 * mm_log(((double)radius_word + 0.5) * 0x1p-32));
    double sine, cosine;
    mm_sincos(two_pi * (((double)angle_word + 0.5) * 0x1p-32), &sine, &cosine);
    out[0] = (float)(radius * cosine);
    out[1] = (float)(radius * sine);
}

void mm_stream_normal(const mm_stream *stream, uint64_t first, float *out, int64_t n) {
    for (int64_t i = 0; i < n;) {
        uint64_t element = first + (uint64_t)i;
        uint32_t words[4];
        float normals[4];
        stream_block(stream, element, words);
        normal_pair(words[0], words[1], normals);
        normal_pair(words[2], words[3], normals + 2);
        for (uint64_t k = element % 4; k < 4 && i < n; k++) out[i++] = normals[k];
    }
}

// One word of the permutation that `key` and `epoch` choose.
static uint32_t order_word(uint64_t key, uint32_t epoch, uint32_t value, uint32_t round) {
    const uint32_t counter[4] = {value, (uint32_t)MM_PURPOSE_SAMPLE_ORDER << 24, epoch, round};
    uint32_t words[4];
    mm_philox4x32(key, counter, words);
    return words[0];
}

// One pass of the network over 2 * half bits: a bijection whatever its round function.
static uint64_t feistel(uint64_t key, uint32_t epoch, int half, uint64_t x) {
    const uint32_t mask = (uint32_t)(((uint64_t)1 << half) - 1);
    uint32_t left = (uint32_t)(x >> half), right = (uint32_t)x & mask;
    for (uint32_t round = 0; round < FEISTEL_ROUNDS; round++) {
        uint32_t next = left ^ (order_word(key, epoch, right, round) & mask);
        left = right;
        right = next;
    }
    return (uint64_t)left << half | right;
}

uint64_t mm_permutation(uint64_t key, uint32_t epoch, uint64_t n, uint64_t i) {
    assert(n >= 1 && i < n);
    if (n == 1) return 0;
    int half = 1;
    while (half < 32 && (n - 1) >> (2 * half)) half++;
    do i = feistel(key, epoch, half, i);
    while (i >= n);
    // A network of 4 bits and more makes even permutations only, so that without this half of all orders of n
    // would come more often than the other half.
    if (i < 2) i ^= order_word(key, epoch, 0, FEISTEL_ROUNDS) & 1;
    return i;
}

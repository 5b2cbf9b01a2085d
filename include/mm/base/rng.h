// Random numbers without state: word = Philox4x32-10(key, counter). Source: J. Salmon et al., "Parallel
// Random Numbers: As Easy as 1, 2, 3" (2011), and Random123's known answers.
//
// A stream is the numbers of one purpose. Its counter is: word 0 the element block (low 32 bits); word 1
// purpose (bits 24-31), layer (bits 12-23), element block (high 12 bits); words 2 and 3 the caller's (step
// and leaf, or a sample's position). Element e of a stream is word e mod 4 of block e / 4.
#ifndef MM_BASE_RNG_H
#define MM_BASE_RNG_H

#include <stdint.h>

enum { MM_STREAMS_VERSION = 1 }; // rises when any stream's numbers change

typedef enum mm_purpose {
    MM_PURPOSE_HASH = 0,              // hash(a, b), for keys
    MM_PURPOSE_INITIAL_WEIGHTS = 1,   // "layer" is the tensor's index in the parameter table
    MM_PURPOSE_SAMPLE_ORDER = 2,      // word 2: epoch
    MM_PURPOSE_EMBEDDING_DROPOUT = 3, // elements: sample, row, column
    MM_PURPOSE_ATTENTION_DROPOUT = 4, // elements: sample, head, row, column
    MM_PURPOSE_OUTPUT_DROPOUT = 5,    // attention output; elements: sample, row, column
    MM_PURPOSE_TOKEN_NOISE = 6,       // elements: sample, row, then 0 whether, 1 which
    MM_PURPOSE_GENERATE = 7           // tokens drawn when generating
} mm_purpose;

// Where the elements of one sample of a leaf are drawn from; whoever runs the leaf fills it (src/rank).
typedef struct mm_draw {
    uint64_t key;
    uint32_t word2, word3;
    uint64_t sample; // how many samples of the leaf stand before it in the stream; 0 under policy sample
} mm_draw;

// A stream with its elements counted from `origin`.
typedef struct mm_stream {
    uint64_t key;
    uint32_t word1, word2, word3; // word 1 without the element block
    uint64_t origin;              // element number of the first element; a multiple of 64
} mm_stream;

// Most elements of a stream, which the samples of a leaf share: 4 for each of the 2^44 blocks that a counter
// can name.
#define MM_STREAM_ELEMENTS ((uint64_t)1 << 46)

// The stream of one purpose and layer for one sample, whose elements are `per_sample` in number (rounded up
// to a multiple of 64, so that every sample starts at a block).
mm_stream mm_stream_of(const mm_draw *draw, mm_purpose purpose, int layer, uint64_t per_sample);

// The definition: one block.
void mm_philox4x32(uint64_t key, const uint32_t counter[4], uint32_t out[4]);
// One 32-bit word of a stream.
uint32_t mm_stream_word(const mm_stream *stream, uint64_t element);
// hash(a, b): 64 bits under a purpose of its own; key a, counter (b low, MM_PURPOSE_HASH << 24, b high, 0),
// words 0 (low) and 1 (high).
uint64_t mm_hash_seed(uint64_t a, uint64_t b);

// Fills out[0..n-1] with elements first.. of a stream, N(0, 1): Box-Muller in double on words (2j, 2j+1) of
// each block, rounded to float once. With u = (word 2j + 1/2) / 2^32 and v = (word 2j+1 + 1/2) / 2^32,
// element 2j is sqrt(-2 log u) cos(2 pi v) and element 2j+1 is sqrt(-2 log u) sin(2 pi v); none exceeds 6.77.
void mm_stream_normal(const mm_stream *stream, uint64_t first, float *out, int64_t n);

// Element i of a permutation of 0..n-1 that `key` and `epoch` choose, n >= 1: a Feistel network over the
// smallest even number of bits (2h, at least 2) that holds n - 1, walked until it falls within n. Thread
// safe, no memory. The network's 8 rounds, numbered from 0, take (left, right), the high and the low h bits,
// to (right, left xor f(round, right)), where f is the low h bits of word 0 of the block with counter (right,
// MM_PURPOSE_SAMPLE_ORDER << 24, epoch, round). Last, the results 0 and 1 are exchanged if bit 0 of f(8, 0)'s
// word is set, since the network alone makes even permutations only.
uint64_t mm_permutation(uint64_t key, uint32_t epoch, uint64_t n, uint64_t i);

#endif

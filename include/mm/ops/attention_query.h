// Attention of one query of one head over keys and values that lie in a cache: what decoding does where
// training takes tiles (attention.h).
#ifndef MM_OPS_ATTENTION_QUERY_H
#define MM_OPS_ATTENTION_QUERY_H

#include <mm/base/mathfn.h>
#include <stdint.h>

typedef struct mm_attention_query_kernels {
    // o[head_dim] = softmax(scale q K^T) V, with k and v of keys x head_dim, contiguous, keys >= 1. scores:
    // keys rounded up to a multiple of MM_LANES floats of scratch. Defined to the bit: scores by sums in 16
    // lanes, weights e^(score - largest), +0 below 2^-100, summed in 16 lanes; o by fmaf in order of the
    // keys, then times 1 / sum.
    void (*forward)(float *o, const float *q, const float *k, const float *v, int64_t keys, int head_dim,
                    float scale, float *scores);
} mm_attention_query_kernels;

#endif

// Softmax cross-entropy of a chunk of rows of logits.
#ifndef MM_OPS_CROSS_ENTROPY_H
#define MM_OPS_CROSS_ENTROPY_H

#include <stdint.h>

typedef struct mm_cross_entropy_kernels {
    // Returns the sum of -log softmax(row)[target] in double, rows in order, each from the float sum of
    // exponentials by log-sum-exp in double.
    double (*forward)(const float *logits, const int32_t *targets, int64_t rows, int64_t vocab);
    // The same sum, and overwrites logits by their gradient: (softmax - onehot) * scale, below 2^-100 made
    // +0.
    double (*backward)(float *logits, const int32_t *targets, int64_t rows, int64_t vocab, float scale);
} mm_cross_entropy_kernels;

#endif

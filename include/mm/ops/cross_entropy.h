// Softmax cross-entropy of a chunk of rows of logits.
#ifndef MM_OPS_CROSS_ENTROPY_H
#define MM_OPS_CROSS_ENTROPY_H

#include <stdint.h>

typedef struct mm_cross_entropy_kernels {
    // losses[rows] = -log softmax(row)[target], each from the float sum of exponentials by log-sum-exp in
    // double.
    void (*forward)(double *losses, const float *logits, const int32_t *targets, int64_t rows, int64_t vocab);
    // The same losses, and overwrites logits by their gradient: (softmax - onehot) * scale, below 2^-100 made
    // +0.
    void (*backward)(double *losses, float *logits, const int32_t *targets, int64_t rows, int64_t vocab,
                     float scale);
} mm_cross_entropy_kernels;

#endif

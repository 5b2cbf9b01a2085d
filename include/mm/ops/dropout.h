// Dropout of the rows of one sample, its mask made where it is used. Source: N. Srivastava et al. (2014),
// inverted.
#ifndef MM_OPS_DROPOUT_H
#define MM_OPS_DROPOUT_H

#include <mm/base/rng.h>
#include <stdint.h>

// Elements of the mask of a sample: seq_len rows of n rounded up to a multiple of 64.
uint64_t mm_dropout_mask_elements(int64_t seq_len, int64_t n);

typedef struct mm_dropout_kernels {
    // y = residual + x * kept / (1 - p), rows x n, contiguous, which are the sample's rows from `first` on.
    // residual may be NULL, y may be x or residual. Element row * (n rounded up to 64) + column of the stream
    // decides: dropped if its word is below floor(p * 2^32). With stream NULL nothing is dropped. The
    // backward pass is the same call on the gradient, without residual.
    void (*apply)(float *y, const float *x, const float *residual, const mm_stream *stream, double p,
                  int64_t first, int64_t rows, int64_t n);
} mm_dropout_kernels;

#endif

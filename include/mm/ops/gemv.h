// y = W x, a matrix times one vector: what a linear layer does to one token. Reading W is the work.
#ifndef MM_OPS_GEMV_H
#define MM_OPS_GEMV_H

#include <stdint.h>

typedef struct mm_gemv_kernels {
    // y[rows] from w[rows x n] and x[n]. The result is defined to the bit, and not as the GEMM's is: a row's
    // element i goes to lane i mod 16 by fmaf(w, x, lane) from +0, in order, and the lanes are summed by
    // mm_lane_sum's tree. So any cut of the rows gives the same bits.
    void (*run)(float *y, const float *w, const float *x, int64_t rows, int64_t n);
} mm_gemv_kernels;

#endif

// RMSNorm over groups of n numbers: y = w * x / sqrt(mean(x^2) + eps). Source: B. Zhang and R. Sennrich
// (2019). A row holds `heads` groups one after another (1 for a layer's norm; the heads for q and k norms),
// rows are ld floats apart.
#ifndef MM_OPS_RMSNORM_H
#define MM_OPS_RMSNORM_H

#include <stdint.h>

typedef struct mm_rmsnorm_kernels {
    // rstd[rows * heads]: 1 / sqrt(mean + eps). y may be x.
    void (*forward)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, float *rstd,
                    int64_t rows, int heads, int64_t n, float eps);
    // Overwrites dx (which may be dy) with the gradient, plus `add` (NULL for none; rows ldadd apart; may be
    // dx); adds to dw[n]. x is the forward's input. Partial sums of dw over blocks of 64 groups keep float's
    // error small. scratch: n floats.
    void (*backward)(float *dx, int64_t lddx, float *dw, const float *dy, int64_t lddy, const float *x,
                     int64_t ldx, const float *w, const float *rstd, const float *add, int64_t ldadd,
                     int64_t rows, int heads, int64_t n, float *scratch);
} mm_rmsnorm_kernels;

#endif

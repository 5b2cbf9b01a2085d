// RMSNorm over groups of n numbers: y = w * x / sqrt(mean(x^2) + eps). Source: B. Zhang and R. Sennrich
// (2019). A row holds `heads` groups one after another (1 for a layer's norm; the heads for q and k norms),
// rows are ld floats apart.
#ifndef MM_OPS_RMSNORM_H
#define MM_OPS_RMSNORM_H

#include <stdint.h>

enum { MM_RMSNORM_BLOCK = 64 };

static inline int64_t mm_rmsnorm_partials(int64_t groups) {
    return (groups + MM_RMSNORM_BLOCK - 1) / MM_RMSNORM_BLOCK;
}

typedef struct mm_rmsnorm_kernels {
    // rstd[rows * heads]: 1 / sqrt(mean + eps). y may be x.
    void (*forward)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, float *rstd,
                    int64_t rows, int heads, int64_t n, float eps);
    // Overwrites dx (which may be dy) with the gradient, plus `add` (NULL for none; rows ldadd apart; may be
    // dx). x is the forward's input. Overwrites partials[mm_rmsnorm_partials(rows * heads) x n] with the
    // gradient of w over each MM_RMSNORM_BLOCK groups. Rows may be cut where blocks end.
    void (*backward)(float *dx, int64_t lddx, float *partials, const float *dy, int64_t lddy, const float *x,
                     int64_t ldx, const float *w, const float *rstd, const float *add, int64_t ldadd,
                     int64_t rows, int heads, int64_t n);
    // Adds `columns` columns of each of `count` partials (n apart) to dw, in order: sums of sums keep float's
    // error small.
    void (*add_partials)(float *dw, const float *partials, int64_t count, int64_t n, int64_t columns);
} mm_rmsnorm_kernels;

#endif

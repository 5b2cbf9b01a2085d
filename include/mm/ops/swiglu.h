// SwiGLU: h = silu(gate) * up. Source: N. Shazeer (2020). gate and up stand side by side: a row is gate[n],
// up[n].
#ifndef MM_OPS_SWIGLU_H
#define MM_OPS_SWIGLU_H

#include <stdint.h>

typedef struct mm_swiglu_kernels {
    // h[rows * n] from gate_up[rows * 2n].
    void (*forward)(float *h, const float *gate_up, int64_t rows, int64_t n);
    // Overwrites d_gate_up[rows * 2n] (which may be gate_up) from dh[rows * n], and h[rows * n] (apart from
    // the others) with the forward's: what follows needs it again, and this is where gate_up passes anyway.
    void (*backward)(float *d_gate_up, float *h, const float *dh, const float *gate_up, int64_t rows,
                     int64_t n);
} mm_swiglu_kernels;

#endif

// Rotary position embedding, rotate-half form. Source: J. Su et al. (2021); numbers as transformers makes
// them: the inverse frequency theta^(-2i/hd) and the angle position * frequency are rounded to float, then
// cos and sin.
#ifndef MM_OPS_ROPE_H
#define MM_OPS_ROPE_H

#include <stdint.h>

// cosine[positions * hd / 2] and sine the same, row-major; hd even.
void mm_rope_tables(float *cosine, float *sine, int64_t positions, int head_dim, double theta);

typedef struct mm_rope_kernels {
    // In place on `rows` rows (ld floats apart) of `heads` heads of head_dim: row r is position r; the tables
    // start at the first row's position. (a, b) -> (a cos - b sin, b cos + a sin) for a in the first half, b
    // in the second.
    void (*forward)(float *x, int64_t ld, int64_t rows, int heads, int head_dim, const float *cosine,
                    const float *sine);
    // The inverse rotation, on a gradient.
    void (*backward)(float *dx, int64_t ld, int64_t rows, int heads, int head_dim, const float *cosine,
                     const float *sine);
} mm_rope_kernels;

#endif

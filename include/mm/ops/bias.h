// A bias on the rows of a linear layer's output.
#ifndef MM_OPS_BIAS_H
#define MM_OPS_BIAS_H

#include <stdint.h>

typedef struct mm_bias_kernels {
    // y[row] += b[n], rows ld apart.
    void (*forward)(float *y, int64_t ld, const float *b, int64_t rows, int64_t n);
    // db += the sum of dy's rows, by blocks of 64 rows. scratch: n floats.
    void (*backward)(float *db, const float *dy, int64_t ld, int64_t rows, int64_t n, float *scratch);
} mm_bias_kernels;

#endif

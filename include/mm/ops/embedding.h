// Rows of a table by id.
#ifndef MM_OPS_EMBEDDING_H
#define MM_OPS_EMBEDDING_H

#include <stdint.h>

typedef struct mm_embedding_kernels {
    // y[rows * n] = table[ids[row]]; ids are checked by whoever read them.
    void (*forward)(float *y, const float *table, const int32_t *ids, int64_t rows, int64_t n);
    // Adds n columns of dy's rows to those of d_table in order of the rows; rows of both are ld apart.
    void (*backward)(float *d_table, const float *dy, int64_t ld, const int32_t *ids, int64_t rows,
                     int64_t n);
} mm_embedding_kernels;

#endif

#include <mm/ops/embedding.h>

#include "build.h"
#include <string.h>

static void forward(float *y, const float *table, const int32_t *ids, int64_t rows, int64_t n) {
    for (int64_t row = 0; row < rows; row++) memcpy(y + row * n, table + ids[row] * n, (size_t)n * sizeof *y);
}

static inline void add_row(float *restrict sum, const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) sum[i] += x[i];
}

static void backward(float *d_table, const float *dy, int64_t ld, const int32_t *ids, int64_t rows,
                     int64_t n) {
    for (int64_t row = 0; row < rows; row++) add_row(d_table + ids[row] * ld, dy + row * ld, n);
}

const mm_embedding_kernels MM_BUILD(mm_embedding) = {forward, backward};

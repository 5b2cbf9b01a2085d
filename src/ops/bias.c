#include <mm/ops/bias.h>

#include "build.h"
#include <string.h>

enum { BLOCK = 64 }; // rows of one partial sum

static inline void add_row(float *restrict sum, const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) sum[i] += x[i];
}

static void forward(float *y, int64_t ld, const float *b, int64_t rows, int64_t n) {
    for (int64_t row = 0; row < rows; row++) add_row(y + row * ld, b, n);
}

static void backward(float *db, const float *dy, int64_t ld, int64_t rows, int64_t n, float *scratch) {
    for (int64_t first = 0; first < rows; first += BLOCK) {
        int64_t last = first + BLOCK < rows ? first + BLOCK : rows;
        memset(scratch, 0, (size_t)n * sizeof *scratch);
        for (int64_t row = first; row < last; row++) add_row(scratch, dy + row * ld, n);
        add_row(db, scratch, n);
    }
}

const mm_bias_kernels MM_BUILD(mm_bias) = {forward, backward};

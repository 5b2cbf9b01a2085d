#include <mm/ops/rmsnorm.h>

#include "build.h"
#include "lanes.h"
#include <string.h>

static float sum_squares(const float *restrict x, int64_t n) {
    float sums[MM_LANES] = {0};
    int64_t i = 0;
    for (; i + MM_LANES <= n; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) sums[l] = fmaf(x[i + l], x[i + l], sums[l]);
    for (int l = 0; i < n; i++, l++) sums[l] = fmaf(x[i], x[i], sums[l]);
    return mm_lane_sum(sums);
}

// NaN of an infinite mean: 0, which that gives, would hide it, and all that comes after would be finite.
MM_INLINE float rstd_of(float mean) {
    const float r = 1.0f / sqrtf(mean);
    return r == 0.0f ? NAN : r;
}

// Asks for a group of a later row: the first at least MM_AHEAD floats further on.
MM_INLINE void fetch(const float *x, int64_t ld, int64_t row, int64_t rows, int64_t column, int64_t n) {
    const int64_t ahead = (MM_AHEAD + ld - 1) / ld;
    if (row + ahead < rows) mm_fetch(x + row * ld + column, n, ahead * ld, x + rows * ld);
}

static void forward(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, float *rstd,
                    int64_t rows, int heads, int64_t n, float eps) {
    for (int64_t row = 0; row < rows; row++)
        for (int head = 0; head < heads; head++) {
            const float *from = x + row * ldx + head * n;
            float *to = y + row * ldy + head * n;
            fetch(x, ldx, row, rows, head * n, n);
            fetch(y, ldy, row, rows, head * n, n);
            const float r = rstd_of(sum_squares(from, n) / (float)n + eps);
            rstd[row * heads + head] = r;
            MM_ELEMENTWISE
            for (int64_t i = 0; i < n; i++) to[i] = w[i] * (from[i] * r);
        }
}

// Returns sum(dy * w * x) and adds dy * x * rstd to the partial sum of dw.
static float weight_gradient(float *restrict partial, const float *restrict dy, const float *restrict x,
                             const float *restrict w, float rstd, int64_t n) {
    float sums[MM_LANES] = {0};
    int64_t i = 0;
    for (; i + MM_LANES <= n; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) {
            float product = dy[i + l] * x[i + l];
            sums[l] = fmaf(product, w[i + l], sums[l]);
            partial[i + l] = fmaf(product, rstd, partial[i + l]);
        }
    for (int l = 0; i < n; i++, l++) {
        float product = dy[i] * x[i];
        sums[l] = fmaf(product, w[i], sums[l]);
        partial[i] = fmaf(product, rstd, partial[i]);
    }
    return mm_lane_sum(sums);
}

// dx = rstd * (dy * w - x * share), plus add; share = sum(dy * w * x) * rstd^2 / n.
static void input_gradient(float *dx, const float *dy, const float *x, const float *w, const float *add,
                           float rstd, float share, int64_t n) {
    if (add) {
        MM_ELEMENTWISE
        for (int64_t i = 0; i < n; i++) dx[i] = fmaf(rstd, fmaf(-x[i], share, dy[i] * w[i]), add[i]);
    } else {
        MM_ELEMENTWISE
        for (int64_t i = 0; i < n; i++) dx[i] = rstd * fmaf(-x[i], share, dy[i] * w[i]);
    }
}

static void backward(float *dx, int64_t lddx, float *partials, const float *dy, int64_t lddy, const float *x,
                     int64_t ldx, const float *w, const float *rstd, const float *add, int64_t ldadd,
                     int64_t rows, int heads, int64_t n) {
    const int64_t groups = rows * heads;
    float *partial = partials;
    for (int64_t first = 0; first < groups; first += MM_RMSNORM_BLOCK, partial += n) {
        const int64_t last = first + MM_RMSNORM_BLOCK < groups ? first + MM_RMSNORM_BLOCK : groups;
        memset(partial, 0, (size_t)n * sizeof *partial);
        for (int64_t group = first; group < last; group++) {
            const int64_t row = group / heads, column = group % heads * n;
            const float *dy_group = dy + row * lddy + column, *x_group = x + row * ldx + column;
            fetch(dy, lddy, row, rows, column, n);
            fetch(x, ldx, row, rows, column, n);
            const float r = rstd[group];
            const float share = weight_gradient(partial, dy_group, x_group, w, r, n) * r * r / (float)n;
            input_gradient(dx + row * lddx + column, dy_group, x_group, w,
                           add ? add + row * ldadd + column : NULL, r, share, n);
        }
    }
}

static void add_partials(float *restrict dw, const float *restrict partials, int64_t count, int64_t n,
                         int64_t columns) {
    for (int64_t block = 0; block < count; block++)
        for (int64_t i = 0; i < columns; i++) dw[i] += partials[block * n + i];
}

const mm_rmsnorm_kernels MM_BUILD(mm_rmsnorm) = {forward, backward, add_partials};

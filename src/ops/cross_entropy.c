#include <mm/ops/cross_entropy.h>

#include "build.h"
#include "lanes.h"
#include <assert.h>

static float largest(const float *restrict x, int64_t n) {
    float most[MM_LANES];
    for (int l = 0; l < MM_LANES; l++) most[l] = -INFINITY;
    int64_t i = 0;
    for (; i + MM_LANES <= n; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
    for (int l = 0; i < n; i++, l++) most[l] = x[i] > most[l] ? x[i] : most[l];
    return mm_lane_max(most);
}

// Sum of e^(x - shift).
static float sum_exp(const float *restrict x, int64_t n, float shift) {
    float sums[MM_LANES] = {0};
    int64_t i = 0;
    for (; i + MM_LANES <= n; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) sums[l] += mm_expf(x[i + l] - shift);
    for (int l = 0; i < n; i++, l++) sums[l] += mm_expf(x[i] - shift);
    return mm_lane_sum(sums);
}

// The same, and x becomes its exponentials.
static float make_exp(float *restrict x, int64_t n, float shift) {
    float sums[MM_LANES] = {0};
    int64_t i = 0;
    for (; i + MM_LANES <= n; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) {
            float e = mm_expf(x[i + l] - shift);
            x[i + l] = e;
            sums[l] += e;
        }
    for (int l = 0; i < n; i++, l++) {
        x[i] = mm_expf(x[i] - shift);
        sums[l] += x[i];
    }
    return mm_lane_sum(sums);
}

static double loss_of(float most, float sum, float target) {
    return mm_log((double)sum) + ((double)most - (double)target);
}

static void forward(double *losses, const float *logits, const int32_t *targets, int64_t rows,
                    int64_t vocab) {
    for (int64_t row = 0; row < rows; row++) {
        const float *x = logits + row * vocab;
        assert(targets[row] >= 0 && targets[row] < vocab);
        float most = largest(x, vocab);
        losses[row] = loss_of(most, sum_exp(x, vocab, most), x[targets[row]]);
    }
}

static void backward(double *losses, float *logits, const int32_t *targets, int64_t rows, int64_t vocab,
                     float scale) {
    for (int64_t row = 0; row < rows; row++) {
        float *x = logits + row * vocab;
        const int32_t target = targets[row];
        assert(target >= 0 && target < vocab);
        float most = largest(x, vocab), x_target = x[target];
        float sum = make_exp(x, vocab, most), e_target = x[target];
        losses[row] = loss_of(most, sum, x_target);
        const float inverse = 1.0f / sum, factor = inverse * scale;
        for (int64_t i = 0; i < vocab; i++) x[i] = mm_flush(x[i] * factor);
        x[target] = mm_flush(fmaf(e_target, inverse, -1.0f) * scale);
    }
}

const mm_cross_entropy_kernels MM_BUILD(mm_cross_entropy) = {forward, backward};

#include <mm/optim/adamw.h>

#include "build.h"
#include <assert.h>
#include <mm/base/mathfn.h>
#include <mm/optim/clip.h>
#include <string.h>

// The sign bit is set if x is infinite or NaN: its exponent is all ones. Integers, which compilers make
// vectors of.
static inline uint32_t spoiled(float x) {
    const uint32_t exponent = 0x7f800000, one = 0x00800000;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & exponent) + one;
}

// Each number on its own, so vectors of any width give the same bits.
static bool adamw(float *restrict w, float *restrict m, float *restrict v, const float *restrict g, int64_t n,
                  const mm_adamw_scalars *scalars) {
    const mm_adamw_scalars s = *scalars;
    uint32_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        float gradient = g[i] * s.scale;
        float mean = mm_flush(fmaf(s.beta1, m[i], s.one_minus_beta1 * gradient));
        float square = mm_flush(fmaf(s.beta2, v[i], s.one_minus_beta2 * (gradient * gradient)));
        float root = sqrtf(square) / s.root_bias2 + s.eps;
        m[i] = mean;
        v[i] = square;
        float weight = fmaf(-s.step_size, mean / root, w[i] * s.decay);
        w[i] = weight;
        found |= spoiled(weight) | spoiled(mean) | spoiled(square);
    }
    return !(found >> 31);
}

static double lane_sum(double lanes[MM_LANES]) {
    for (int h = MM_LANES / 2; h; h /= 2)
        for (int l = 0; l < h; l++) lanes[l] += lanes[l + h];
    return lanes[0];
}

static double sum_squares(const float *restrict g, int64_t n) {
    assert(n >= 0 && n <= MM_NORM_BLOCK);
    double sums[MM_LANES] = {0};
    int64_t i = 0;
    // A float's square is exact in double, so fusing would change nothing.
    for (; i + MM_LANES <= n; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) sums[l] += (double)g[i + l] * (double)g[i + l];
    for (int l = 0; i < n; i++, l++) sums[l] += (double)g[i] * (double)g[i];
    return lane_sum(sums);
}

const mm_optim_kernels MM_BUILD(mm_optim) = {adamw, sum_squares};

// The work on one row of a tile of attention scores: one query of one head, against up to 128 keys. Widths
// are 64 or 128, so that loops have whole lanes; what lies beyond a row's last key is set before
// (attention.c).
#ifndef MM_OPS_ATTENTION_ROWS_H
#define MM_OPS_ATTENTION_ROWS_H

#include "lanes.h"
#include <mm/base/philox.h>
#include <mm/ops/attention.h>
#include <stdbool.h>

// e^x as (1 + r + ...) * scale, where x = n ln 2 + r and scale = 2^n; both are +0 for a weight below 2^-100.
typedef struct weight_parts {
    float r, scale;
} weight_parts;

MM_INLINE weight_parts weight_parts_of(float x) {
    float shifted = fmaf(x, 1.44269504f, 12582912.0f); // its low bits are the nearest whole number
    float n = shifted - 12582912.0f;
    float r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.12194440e-4f, r);
    uint32_t power;
    memcpy(&power, &shifted, sizeof power);
    power = (power << 23) + (127u << 23);
    float scale;
    memcpy(&scale, &power, sizeof scale);
    const bool none = x < -0x1.154244p+6f; // the least x whose weight is not below 2^-100
    return (weight_parts){none ? 0.0f : r, none ? 0.0f : scale};
}

MM_INLINE float weight_from(weight_parts x) {
    float p = 1.9875691500e-4f;
    p = fmaf(p, x.r, 1.3981999507e-3f);
    p = fmaf(p, x.r, 8.3334519073e-3f);
    p = fmaf(p, x.r, 4.1665795894e-2f);
    p = fmaf(p, x.r, 1.6666665459e-1f);
    p = fmaf(p, x.r, 5.0000001201e-1f);
    return (fmaf(p * x.r, x.r, x.r) + 1.0f) * x.scale;
}

// mm_flush(mm_expf(x)) for x <= 88, to the bit: since a weight below 2^-100 is +0, the power of two needs no
// second factor, and one comparison serves both ends. NaN stays.
MM_INLINE float weight_of(float x) {
    return weight_from(weight_parts_of(x));
}

// The same for a row, in two loops: a processor has room for many short chains of operations at a time, but
// for few long ones.
MM_INLINE void row_weights_of(float *restrict s, int width, float shift) {
    float r[MM_ATTENTION_TILE], scale[MM_ATTENTION_TILE];
    for (; width > 0; width -= MM_ATTENTION_TILE, s += MM_ATTENTION_TILE) {
        const int n = width < MM_ATTENTION_TILE ? width : MM_ATTENTION_TILE;
        MM_ELEMENTWISE
        for (int i = 0; i < n; i++) {
            const weight_parts x = weight_parts_of(s[i] - shift);
            r[i] = x.r, scale[i] = x.scale;
        }
        MM_ELEMENTWISE
        for (int i = 0; i < n; i++) s[i] = weight_from((weight_parts){r[i], scale[i]});
    }
}

// Whether a weight is kept, as bits to mask it with: compilers make branches' worth of a choice of numbers.
MM_INLINE uint32_t kept_mask(uint32_t word, uint32_t threshold) {
    return word < threshold ? 0 : UINT32_MAX;
}

MM_INLINE float masked(float x, uint32_t mask) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= mask;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Lanes start with a computation, not a copy or a constant: what compilers store for those in parts is slow
// to load as one vector.
MM_INLINE float row_max(const float *s, int width) {
    float lanes[MM_LANES];
    for (int l = 0; l < MM_LANES; l++) lanes[l] = s[l] > -INFINITY ? s[l] : -INFINITY;
    for (int i = MM_LANES; i < width; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) lanes[l] = s[i + l] > lanes[l] ? s[i + l] : lanes[l];
    return mm_lane_max(lanes);
}

MM_INLINE float row_sum(const float *s, int width) {
    float lanes[MM_LANES];
    for (int l = 0; l < MM_LANES; l++) lanes[l] = 0.0f + s[l];
    for (int i = MM_LANES; i < width; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) lanes[l] += s[i + l];
    return mm_lane_sum(lanes);
}

// Scores become weights e^(s - max). Returns their sum, taken before dropped ones become +0.
MM_INLINE float row_weights(float *restrict s, int width, float max, const uint32_t *restrict words,
                            uint32_t threshold) {
    row_weights_of(s, width, max);
    const float sum = row_sum(s, width);
    if (words) {
        MM_ELEMENTWISE
        for (int i = 0; i < width; i++) s[i] = masked(s[i], kept_mask(words[i], threshold));
    }
    return sum;
}

// From scores s and the gradient d of the (dropped) weights: s becomes the weights e^(s - lse), dropped ones
// +0, and d the gradient of the scores, w (d - delta), where a dropped weight's d counts as +0.
MM_INLINE void row_gradients(float *restrict s, float *restrict d, int width, float lse, float delta,
                             const uint32_t *restrict words, uint32_t threshold) {
    row_weights_of(s, width, lse);
    if (words) {
        MM_ELEMENTWISE
        for (int i = 0; i < width; i++) {
            const uint32_t mask = kept_mask(words[i], threshold);
            d[i] = mm_flush(s[i] * (masked(d[i], mask) - delta));
            s[i] = masked(s[i], mask);
        }
    } else {
        MM_ELEMENTWISE
        for (int i = 0; i < width; i++) d[i] = mm_flush(s[i] * (d[i] - delta));
    }
}

// x . y in 16 lanes.
MM_INLINE float row_dot(const float *x, const float *y, int n) {
    float lanes[MM_LANES] = {0};
    int i = 0;
    for (; i + MM_LANES <= n; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) lanes[l] = fmaf(x[i + l], y[i + l], lanes[l]);
    for (int l = 0; i < n; i++, l++) lanes[l] = fmaf(x[i], y[i], lanes[l]);
    return mm_lane_sum(lanes);
}

#endif

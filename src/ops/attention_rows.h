// The work on one row of a tile of attention scores: one query of one head, against up to 128 keys. Widths
// are 64 or 128, so that loops have whole lanes; what lies beyond a row's last key is set before
// (attention.c).
#ifndef MM_OPS_ATTENTION_ROWS_H
#define MM_OPS_ATTENTION_ROWS_H

#include "lanes.h"
#include <mm/base/philox.h>
#include <stdbool.h>

// mm_flush(mm_expf(x)) for x <= 88, to the bit: a weight below 2^-100 is +0, so that the power of two needs
// no second factor and the two ends of the range no comparison. NaN stays.
MM_INLINE float weight_of(float x) {
    float c = x < -87.0f ? -87.0f : x;
    float shifted = fmaf(c, 1.44269504f, 12582912.0f); // its low bits are the nearest whole number
    float n = shifted - 12582912.0f;
    float r = fmaf(n, -0.693359375f, c);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    p = fmaf(p * r, r, r) + 1.0f;
    uint32_t power;
    memcpy(&power, &shifted, sizeof power);
    power = (power << 23) + (127u << 23);
    float scale;
    memcpy(&scale, &power, sizeof scale);
    float y = p * scale;
    return y < 0x1p-100f ? 0.0f : y;
}

MM_INLINE float row_max(const float *s, int width) {
    float lanes[MM_LANES];
    for (int l = 0; l < MM_LANES; l++) lanes[l] = s[l];
    for (int i = MM_LANES; i < width; i += MM_LANES)
        for (int l = 0; l < MM_LANES; l++) lanes[l] = s[i + l] > lanes[l] ? s[i + l] : lanes[l];
    return mm_lane_max(lanes);
}

// Scores become weights e^(s - max). Returns their sum, taken before dropped ones become +0.
MM_INLINE float row_weights(float *restrict s, int width, float max, const uint32_t *restrict words,
                            uint32_t threshold) {
    float lanes[MM_LANES] = {0};
    for (int i = 0; i < width; i += MM_LANES) {
        for (int l = 0; l < MM_LANES; l++) {
            float w = weight_of(s[i + l] - max);
            lanes[l] += w;
            s[i + l] = words && words[i + l] < threshold ? 0.0f : w;
        }
    }
    return mm_lane_sum(lanes);
}

// From scores s and the gradient d of the (dropped) weights: s becomes the weights e^(s - lse), dropped ones
// +0, and d the gradient of the scores, w (d - delta), where a dropped weight's d counts as +0.
MM_INLINE void row_gradients(float *restrict s, float *restrict d, int width, float lse, float delta,
                             const uint32_t *restrict words, uint32_t threshold) {
    for (int i = 0; i < width; i += MM_LANES) {
        for (int l = 0; l < MM_LANES; l++) {
            float w = weight_of(s[i + l] - lse), g = d[i + l];
            bool dropped = words && words[i + l] < threshold;
            s[i + l] = dropped ? 0.0f : w;
            d[i + l] = mm_flush(w * ((dropped ? 0.0f : g) - delta));
        }
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

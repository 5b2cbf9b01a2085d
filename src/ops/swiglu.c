#include <mm/ops/swiglu.h>

#include "build.h"
#include "lanes.h"

// From gate's numbers at `first` of a row to those that are asked for meanwhile: after the end of gate, which
// up follows, to gate of the next row; and so for up.
static inline int64_t ahead_of(int64_t first, int64_t n) {
    return first + MM_AHEAD < n ? MM_AHEAD : MM_AHEAD + n;
}

static void forward(float *h, const float *gate_up, int64_t rows, int64_t n) {
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = gate_up + row * 2 * n, *up = gate + n;
        float *out = h + row * n;
        for (int64_t first = 0, end; first < n; first = end) {
            end = first + MM_FETCHED < n ? first + MM_FETCHED : n;
            mm_fetch(gate + first, end - first, ahead_of(first, n), gate_up + rows * 2 * n);
            mm_fetch(up + first, end - first, ahead_of(first, n), gate_up + rows * 2 * n);
            mm_fetch(out + first, end - first, MM_AHEAD, h + rows * n);
            MM_ELEMENTWISE
            for (int64_t i = first; i < end; i++) out[i] = gate[i] * mm_sigmoidf(gate[i]) * up[i];
        }
    }
}

static void backward(float *d_gate_up, float *h, const float *dh, const float *gate_up, int64_t rows,
                     int64_t n) {
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = gate_up + row * 2 * n, *up = gate + n, *d_out = dh + row * n;
        float *d_gate = d_gate_up + row * 2 * n, *d_up = d_gate + n, *out = h + row * n;
        for (int64_t first = 0, end; first < n; first = end) {
            end = first + MM_FETCHED < n ? first + MM_FETCHED : n;
            mm_fetch(gate + first, end - first, ahead_of(first, n), gate_up + rows * 2 * n);
            mm_fetch(up + first, end - first, ahead_of(first, n), gate_up + rows * 2 * n);
            mm_fetch(d_out + first, end - first, MM_AHEAD, dh + rows * n);
            mm_fetch(out + first, end - first, MM_AHEAD, h + rows * n);
            MM_ELEMENTWISE
            for (int64_t i = first; i < end; i++) {
                const float g = gate[i], u = up[i], s = mm_sigmoidf(g), d = d_out[i], silu = g * s;
                const float slope = s * fmaf(g, 1.0f - s, 1.0f); // of silu at g
                out[i] = silu * u;
                d_gate[i] = d * u * slope;
                d_up[i] = d * silu;
            }
        }
    }
}

const mm_swiglu_kernels MM_BUILD(mm_swiglu) = {forward, backward};

#include <mm/ops/swiglu.h>

#include "build.h"
#include "lanes.h"

static void forward(float *h, const float *gate_up, int64_t rows, int64_t n) {
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = gate_up + row * 2 * n, *up = gate + n;
        float *out = h + row * n;
        for (int64_t first = 0, end; first < n; first = end) {
            end = first + MM_FETCHED < n ? first + MM_FETCHED : n;
            for (int64_t i = first; i < end; i += MM_LINE) {
                mm_fetch(gate + i, MM_AHEAD);
                mm_fetch(up + i, MM_AHEAD);
                mm_fetch(out + i, MM_AHEAD);
            }
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
            for (int64_t i = first; i < end; i += MM_LINE) {
                mm_fetch(gate + i, MM_AHEAD);
                mm_fetch(up + i, MM_AHEAD);
                mm_fetch(d_out + i, MM_AHEAD);
                mm_fetch(out + i, MM_AHEAD);
            }
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

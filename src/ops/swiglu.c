#include <mm/ops/swiglu.h>

#include "build.h"
#include "lanes.h"

static void forward(float *h, const float *gate_up, int64_t rows, int64_t n) {
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = gate_up + row * 2 * n, *up = gate + n;
        float *out = h + row * n;
        MM_ELEMENTWISE
        for (int64_t i = 0; i < n; i++) out[i] = gate[i] * mm_sigmoidf(gate[i]) * up[i];
    }
}

static void backward(float *d_gate_up, const float *dh, const float *gate_up, int64_t rows, int64_t n) {
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = gate_up + row * 2 * n, *up = gate + n, *d_out = dh + row * n;
        float *d_gate = d_gate_up + row * 2 * n, *d_up = d_gate + n;
        MM_ELEMENTWISE
        for (int64_t i = 0; i < n; i++) {
            const float g = gate[i], s = mm_sigmoidf(g), d = d_out[i];
            const float slope = s * fmaf(g, 1.0f - s, 1.0f); // of silu at g
            d_gate[i] = d * up[i] * slope;
            d_up[i] = d * (g * s);
        }
    }
}

const mm_swiglu_kernels MM_BUILD(mm_swiglu) = {forward, backward};

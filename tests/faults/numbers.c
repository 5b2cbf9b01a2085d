// Faults of arithmetic: norms, rotary positions, products.
#include "fault.h"
#include "place.h"
#include "wrap.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const mm_kernels *real_kernels;
static float *other_cosine, *other_sine; // of another base

static void norm_forward(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, float *rstd,
                         int64_t rows, int heads, int64_t n, float eps) {
    const mm_parameters *p = &model_in_work->parameters;
    bool chosen = w == model_in_work->weights + p->offsets[p->layers[planted.layer].post_norm];
    if (chosen && fault_strikes_here("eps")) eps *= 10;
    if (chosen && fault_strikes_here("nan")) eps = NAN;
    real_kernels->rmsnorm->forward(y, ldy, x, ldx, w, rstd, rows, heads, n, eps);
}

static void rope_forward(float *x, int64_t ld, int64_t rows, int heads, int head_dim, const float *cosine,
                         const float *sine) {
    bool other = fault_strikes_here("rope");
    real_kernels->rope->forward(x, ld, rows, heads, head_dim, other ? other_cosine : cosine,
                                other ? other_sine : sine);
}

static void rope_backward(float *dx, int64_t ld, int64_t rows, int heads, int head_dim, const float *cosine,
                          const float *sine) {
    bool other = fault_strikes_here("rope");
    real_kernels->rope->backward(dx, ld, rows, heads, head_dim, other ? other_cosine : cosine,
                                 other ? other_sine : sine);
}

const mm_kernels *__wrap_mm_kernels_for(mm_isa isa) {
    static mm_kernels table;
    static mm_rmsnorm_kernels norm;
    static mm_rope_kernels rope;
    real_kernels = __real_mm_kernels_for(isa);
    table = *real_kernels;
    if (fault_is("eps") || fault_is("nan")) {
        norm = *table.rmsnorm;
        norm.forward = norm_forward;
        table.rmsnorm = &norm;
    }
    if (fault_is("rope")) {
        rope = (mm_rope_kernels){rope_forward, rope_backward};
        table.rope = &rope;
    }
    return &table;
}

void __wrap_mm_rope_tables(float *cosine, float *sine, int64_t positions, int head_dim, double theta) {
    __real_mm_rope_tables(cosine, sine, positions, head_dim, theta);
    if (!fault_is("rope") || other_cosine) return;
    size_t floats = (size_t)positions * (size_t)head_dim / 2;
    other_cosine = malloc(floats * sizeof *other_cosine);
    other_sine = malloc(floats * sizeof *other_sine);
    if (!other_cosine || !other_sine) abort();
    __real_mm_rope_tables(other_cosine, other_sine, positions, head_dim, theta / 100);
}

// Chunks of k of another length: each product is cut into the faulty chunks, which are smaller than the true
// ones. And C not cleared.
void __wrap_mm_gemm_run(const mm_gemm *gemm, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                        int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                        mm_gemm_into into, float *c, int64_t ldc, float *room) {
    const float *held = into == MM_GEMM_ADD_TO_ZERO ? stale_at(c) : NULL;
    for (int64_t i = 0; held && i < m; i++) memcpy(c + i * ldc, held + i * ldc, (size_t)n * sizeof *c);
    if (held) into = MM_GEMM_ADD;
    int64_t chunk = fault_strikes_here("chunk") ? MM_GEMM_CHUNK / 2 : k;
    int64_t first = 0;
    do {
        int64_t length = k - first < chunk ? k - first : chunk;
        __real_mm_gemm_run(gemm, transpose_a, transpose_b, m, n, length, alpha, a, lda, b, ldb, into, c, ldc,
                           room);
        a += transpose_a ? length * lda : length;
        b += transpose_b ? length : length * ldb;
        into = MM_GEMM_ADD;
        first += length;
    } while (first < k);
}

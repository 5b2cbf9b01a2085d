// SwiGLU: kernel against a textbook reference in double, its gradient against central differences, and the
// bits.
#include <math.h>
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "numbers.h"

// sigmoid: exp is within 2 ulp (4 half-ulps), of which at most all reach 1 + e; the sum and the quotient
// round once. Then at most 6 roundings of products. A sigmoid below the normal numbers (gates under -87) is
// only as good as the smallest of them, hence TINY times the other factors.
static const double tolerance = 12 * EPSILON;
static const double tiny = 0x1p-126 / (12 * EPSILON);

typedef struct reference {
    int64_t rows, n;
    double *gate_up, *dh;
} reference;

static double loss(const void *self) {
    const reference *r = self;
    double sum = 0;
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t i = 0; i < r->n; i++) {
            const double g = r->gate_up[row * 2 * r->n + i], u = r->gate_up[row * 2 * r->n + r->n + i];
            sum += r->dh[row * r->n + i] * g / (1 + exp(-g)) * u;
        }
    return sum;
}

static void gradient(const reference *r, double *d, double *magnitude) {
    for (int64_t row = 0; row < r->rows; row++)
        for (int64_t i = 0; i < r->n; i++) {
            const int64_t at = row * 2 * r->n + i;
            const double g = r->gate_up[at], u = r->gate_up[at + r->n], dh = r->dh[row * r->n + i];
            const double s = 1 / (1 + exp(-g));
            d[at] = dh * u * s * (1 + g * (1 - s));
            d[at + r->n] = dh * g * s;
            magnitude[at] = fabs(dh * u) * (s + tiny) * (1 + fabs(g));
            magnitude[at + r->n] = fabs(dh * g) * (s + tiny);
        }
}

static void gradient_is_the_central_difference(void **state) {
    (void)state;
    enum { ROWS = 2, N = 21 };
    float *gate_up = numbers_new(ROWS * 2 * N, 1, 4), *dh = numbers_new(ROWS * N, 2, 1);
    reference r = {ROWS, N, numbers_double(gate_up, ROWS * 2 * N), numbers_double(dh, ROWS * N)};
    double d[ROWS * 2 * N], unused[ROWS * 2 * N];
    gradient(&r, d, unused);
    expect_gradient("d gate, d up", d, r.gate_up, ROWS * 2 * N, loss, &r);
    free(gate_up), free(dh), free(r.gate_up), free(r.dh);
}

static void check(const mm_swiglu_kernels *k, int64_t rows, int64_t n, float scale) {
    const int64_t count = rows * n;
    float *gate_up = numbers_new(2 * count, 1, scale), *dh = numbers_new(count, 2, 1);
    float *h = numbers_nan(count), *d_gate_up = numbers_nan(2 * count);
    reference r = {rows, n, numbers_double(gate_up, 2 * count), numbers_double(dh, count)};
    double *want = numbers_zero_double(2 * count), *size = numbers_zero_double(2 * count);
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = i / n * 2 * n + i % n;
        const double g = r.gate_up[at], u = r.gate_up[at + n], s = 1 / (1 + exp(-g));
        want[i] = g * s * u;
        size[i] = fabs(g * u) * (s + tiny);
    }
    k->forward(h, gate_up, rows, n);
    expect_near("h", h, want, size, tolerance, count);
    gradient(&r, want, size);
    float *again = numbers_nan(count);
    k->backward(d_gate_up, again, dh, gate_up, rows, n);
    expect_near("d gate, d up", d_gate_up, want, size, tolerance, 2 * count);
    expect_same("h again", again, h, count);
    for (int64_t i = 0; i < count; i++) again[i] = NAN;
    k->backward(gate_up, again, dh, gate_up, rows, n);
    expect_same("in place of gate and up", gate_up, d_gate_up, 2 * count);
    expect_same("h in place of gate and up", again, h, count);
    free(again);
    free(gate_up), free(dh), free(h), free(d_gate_up), free(r.gate_up), free(r.dh), free(want), free(size);
}

static void kernels_are_the_reference(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {3, 16}, {5, 33}, {7, 100}, {2, 448}, {1, 2431}};
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            check(mm_kernels_for(isa)->swiglu, sizes[s][0], sizes[s][1], 6);
            check(mm_kernels_for(isa)->swiglu, sizes[s][0], sizes[s][1],
                  120); // beyond exp's range on both sides
        }
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    enum { ROWS = 11, N = 333 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *x = numbers_new(ROWS * 2 * N, 41, 20), *h = numbers_new(ROWS * N, 42, 1),
              *again = numbers_nan(ROWS * N);
        mm_kernels_for(isa)->swiglu->forward(h, x, ROWS, N);
        expect_hash("h", isa, h, ROWS * N * sizeof *h, "9bfc5420c5d834eca8130cba6d0a48da");
        mm_kernels_for(isa)->swiglu->backward(x, again, h, x, ROWS, N);
        expect_hash("d gate, d up", isa, x, ROWS * 2 * N * sizeof *x, "c82d0d509265710667a090cce6f6e11b");
        expect_same("h again", again, h, ROWS * N);
        free(x), free(h), free(again);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_is_the_central_difference),
        cmocka_unit_test(kernels_are_the_reference),
        cmocka_unit_test(bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

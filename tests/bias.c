// Bias: kernel against a textbook reference in double, its gradient, and the bits.
#include <math.h>
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "numbers.h"

typedef struct reference {
    int64_t rows, n;
    double *y, *b, *dy;
} reference;

static double loss(const void *self) {
    const reference *r = self;
    double sum = 0;
    for (int64_t i = 0; i < r->rows * r->n; i++) sum += r->dy[i] * (r->y[i] + r->b[i % r->n]);
    return sum;
}

static void check(const mm_bias_kernels *k, int64_t rows, int64_t n) {
    const int64_t ld = n + 3;
    float *y = numbers_new(rows * ld, 1, 1), *dy = numbers_new(rows * ld, 2, 1), *b = numbers_new(n, 3, 1);
    float *sum = numbers_copy(y, rows * ld), *db = numbers_new(n, 4, 1), *scratch = numbers_nan(n);
    double *want = numbers_double(db, n), *size = numbers_double(db, n), *slope = numbers_zero_double(n);
    for (int64_t i = 0; i < n; i++) size[i] = fabs(size[i]);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < n; i++) {
            sum[row * ld + i] += b[i];
            slope[i] += (double)dy[row * ld + i];
            want[i] += (double)dy[row * ld + i];
            size[i] += fabs((double)dy[row * ld + i]);
        }
    k->forward(y, ld, b, rows, n);
    expect_same("y + b, and what lies between the rows", y, sum, rows * ld);
    k->backward(db, dy, ld, rows, n, scratch);
    // At most 64 additions in a block, then the blocks one after another.
    expect_near("db", db, want, size, (65 + (double)rows / 64) * EPSILON, n);
    if (rows == 5) {
        float *dense = numbers_nan(rows * n);
        for (int64_t i = 0; i < rows * n; i++) dense[i] = dy[i / n * ld + i % n];
        reference r = {rows, n, numbers_double(dense, rows * n), numbers_double(b, n),
                       numbers_double(dense, rows * n)};
        expect_gradient("db", slope, r.b, n, loss, &r);
        free(dense), free(r.y), free(r.b), free(r.dy);
    }
    free(y), free(dy), free(b), free(sum), free(db), free(scratch), free(want), free(size), free(slope);
}

static void kernels_are_the_reference(void **state) {
    (void)state;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        const mm_bias_kernels *k = mm_kernels_for(isa)->bias;
        check(k, 1, 1);
        check(k, 5, 33);
        check(k, 64, 16);
        check(k, 193, 100);
    }
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    enum { ROWS = 150, N = 35 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *y = numbers_new(ROWS * N, 61, 1), *b = numbers_new(N, 62, 1), *scratch = numbers_nan(N);
        mm_kernels_for(isa)->bias->forward(y, N, b, ROWS, N);
        mm_kernels_for(isa)->bias->backward(b, y, N, ROWS, N, scratch);
        expect_hash("db", isa, b, N * sizeof *b, "270b40c83fe3dde970b3ce4661799260");
        free(y), free(b), free(scratch);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_are_the_reference),
        cmocka_unit_test(bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// RoPE: tables against libm, kernel against a textbook reference in double, its gradient, and the bits.
#include <math.h>
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "numbers.h"

static void tables_are_those_of_transformers(void **state) {
    (void)state;
    static const int dims[] = {2, 10, 16, 64, 96, 128};
    static const double thetas[] = {1e4, 1e6};
    enum { POSITIONS = 700 };
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (int t = 0; t < 2; t++) {
            const int half = dims[d] / 2;
            float *cosine = numbers_nan(POSITIONS * half), *sine = numbers_nan(POSITIONS * half);
            double *c = numbers_zero_double(POSITIONS * half), *s = numbers_zero_double(POSITIONS * half);
            double *one = numbers_zero_double(POSITIONS * half);
            mm_rope_tables(cosine, sine, POSITIONS, dims[d], thetas[t]);
            for (int p = 0; p < POSITIONS; p++)
                for (int i = 0; i < half; i++) {
                    const float frequency = (float)pow(thetas[t], -2.0 * i / dims[d]);
                    const float angle = (float)p * frequency;
                    c[p * half + i] = cos((double)angle);
                    s[p * half + i] = sin((double)angle);
                    one[p * half + i] = 1;
                }
            // One rounding of a number of at most 1, and the error of double beneath it.
            expect_near("cos", cosine, c, one, EPSILON * 1.000001, POSITIONS * half);
            expect_near("sin", sine, s, one, EPSILON * 1.000001, POSITIONS * half);
            free(cosine), free(sine), free(c), free(s), free(one);
        }
}

typedef struct reference {
    int64_t rows;
    int heads, head_dim;
    const double *cosine, *sine;
    double *x, *dy;
} reference;

// y, or with `back` the gradient of x from y's: the transposed rotation.
static void rotate(const reference *r, const double *x, double *y, double *magnitude, int back) {
    const int half = r->head_dim / 2;
    for (int64_t row = 0; row < r->rows; row++)
        for (int head = 0; head < r->heads; head++)
            for (int i = 0; i < half; i++) {
                const int64_t a = (row * r->heads + head) * r->head_dim + i, b = a + half;
                const double c = r->cosine[row * half + i],
                             s = back ? -r->sine[row * half + i] : r->sine[row * half + i];
                y[a] = x[a] * c - x[b] * s;
                y[b] = x[b] * c + x[a] * s;
                magnitude[a] = fabs(x[a] * c) + fabs(x[b] * s);
                magnitude[b] = fabs(x[b] * c) + fabs(x[a] * s);
            }
}

static double loss(const void *self) {
    const reference *r = self;
    const int64_t n = r->rows * r->heads * r->head_dim;
    double *y = numbers_zero_double(n), *unused = numbers_zero_double(n), sum = 0;
    rotate(r, r->x, y, unused, 0);
    for (int64_t i = 0; i < n; i++) sum += r->dy[i] * y[i];
    free(y), free(unused);
    return sum;
}

static void check(mm_isa isa, int64_t rows, int heads, int head_dim) {
    const int64_t width = heads * head_dim, n = rows * width, ld = width + 5, table = rows * head_dim / 2;
    float *cosine = numbers_nan(table), *sine = numbers_nan(table), *x = numbers_new(n, 1, 2);
    mm_rope_tables(cosine, sine, rows, head_dim, 1e4);
    reference r = {rows,
                   heads,
                   head_dim,
                   numbers_double(cosine, table),
                   numbers_double(sine, table),
                   numbers_double(x, n),
                   numbers_double(x, n)};
    double *want = numbers_zero_double(n), *size = numbers_zero_double(n);
    for (int back = 0; back < 2; back++) {
        rotate(&r, r.x, want, size, back);
        float *spread = numbers_nan(rows * ld), *got = numbers_nan(n);
        for (int64_t i = 0; i < n; i++) spread[i / width * ld + i % width] = x[i];
        const mm_rope_kernels *k = mm_kernels_for(isa)->rope;
        (back ? k->backward : k->forward)(spread, ld, rows, heads, head_dim, cosine, sine);
        for (int64_t i = 0; i < n; i++) got[i] = spread[i / width * ld + i % width];
        for (int64_t i = 0; i < rows * ld; i++) assert_int_equal(!isnan(spread[i]), i % ld < width);
        // Each product rounds once, and their sum.
        expect_near(back ? "backward" : "forward", got, want, size, 2.01 * EPSILON, n);
        free(spread), free(got);
    }
    if (isa == MM_ISA_BASELINE && n < 400) {
        rotate(&r, r.dy, want, size, 1);
        expect_gradient("dx", want, r.x, n, loss, &r);
    }
    free(cosine), free(sine), free(x), free((double *)r.cosine), free((double *)r.sine), free(r.x),
        free(r.dy);
    free(want), free(size);
}

static void kernels_are_the_reference(void **state) {
    (void)state;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        check(isa, 1, 1, 2);
        check(isa, 5, 3, 10);
        check(isa, 9, 2, 16);
        check(isa, 31, 4, 96);
        check(isa, 65, 1, 128);
    }
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    enum { ROWS = 33, HEADS = 3, HD = 46, N = ROWS * HEADS * HD };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *tables = numbers_nan(ROWS * HD), *x = numbers_new(N, 31, 2);
        mm_rope_tables(tables, tables + ROWS * HD / 2, ROWS, HD, 1e6);
        expect_hash("tables", isa, tables, ROWS * HD * sizeof *tables, "868ae9e0e2666c28faf038f8dcc3dec4");
        mm_kernels_for(isa)->rope->forward(x, HEADS * HD, ROWS, HEADS, HD, tables, tables + ROWS * HD / 2);
        expect_hash("forward", isa, x, N * sizeof *x, "bdade2f1a9f21d493370e517b9766bab");
        mm_kernels_for(isa)->rope->backward(x, HEADS * HD, ROWS - 3, HEADS, HD, tables + HD,
                                            tables + ROWS * HD / 2);
        expect_hash("backward", isa, x, N * sizeof *x, "fdbaef2e7c18da12cc7f60fb483f7261");
        free(tables), free(x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_those_of_transformers),
        cmocka_unit_test(kernels_are_the_reference),
        cmocka_unit_test(bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

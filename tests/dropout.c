// Dropout: each element against its own word of the stream, the gradient, how much is dropped, and the bits.
#include <math.h>
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "numbers.h"

static mm_stream a_stream(uint64_t origin) {
    return (mm_stream){
        .key = 0x0123456789abcdefu, .word1 = 3u << 24 | 5u << 12, .word2 = 7, .word3 = 1, .origin = origin};
}

// 0 or 1 / (1 - p), by the definition.
static float mask(const mm_stream *stream, double p, int64_t row, int64_t column, int64_t n) {
    const int64_t ld = (n + 63) / 64 * 64;
    return mm_stream_word(stream, (uint64_t)(row * ld + column)) < floor(p * 0x1p32) ? 0.0f
                                                                                     : (float)(1 / (1 - p));
}

static void check(const mm_dropout_kernels *k, double p, int64_t rows, int64_t n, uint64_t origin) {
    const mm_stream stream = a_stream(origin);
    const int64_t count = rows * n;
    float *x = numbers_new(count, 1, 1), *residual = numbers_new(count, 2, 1), *y = numbers_nan(count);
    float *want = numbers_nan(count), *alone = numbers_nan(count);
    for (int64_t i = 0; i < count; i++) {
        const float m = mask(&stream, p, i / n, i % n, n);
        alone[i] = m == 0 ? 0.0f : x[i] * m;
        want[i] = residual[i] + alone[i];
        if (m == 0 && i % 2) x[i] = INFINITY; // what is dropped leaves nothing behind
    }
    k->apply(y, x, residual, &stream, p, 0, rows, n);
    expect_same("residual + dropout(x)", y, want, count);
    k->apply(y, x, NULL, &stream, p, 0, rows, n);
    expect_same("dropout(x)", y, alone, count);
    const int64_t cut = rows / 2;
    k->apply(y, x, NULL, &stream, p, 0, cut, n);
    k->apply(y + cut * n, x + cut * n, NULL, &stream, p, cut, rows - cut, n);
    expect_same("dropout(x) in two parts", y, alone, count);
    k->apply(residual, x, residual, &stream, p, 0, rows, n);
    expect_same("in place of residual", residual, want, count);
    k->apply(x, x, NULL, &stream, p, 0, rows, n);
    expect_same("in place of x", x, alone, count);
    free(x), free(residual), free(y), free(want), free(alone);
}

static void elements_follow_their_words(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {3, 33}, {2, 64}, {5, 100}, {7, 128}, {2, 513}};
    static const double rates[] = {0, 0.1, 0.5, 0.999};
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++)
        for (int s = 0; s < 6; s++)
            for (int r = 0; r < 4; r++)
                check(mm_kernels_for(isa)->dropout, rates[r], sizes[s][0], sizes[s][1],
                      s % 2 ? 0 : ((uint64_t)1 << 35) + 64);
}

static void without_a_stream_nothing_is_dropped(void **state) {
    (void)state;
    enum { N = 37 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        const mm_dropout_kernels *k = mm_kernels_for(isa)->dropout;
        float *x = numbers_new(N, 1, 1), *residual = numbers_new(N, 2, 1), *y = numbers_nan(N),
              *sum = numbers_nan(N);
        for (int i = 0; i < N; i++) sum[i] = residual[i] + x[i];
        k->apply(y, x, NULL, NULL, 0.5, 0, 1, N);
        expect_same("x", y, x, N);
        k->apply(y, x, residual, NULL, 0.5, 0, 1, N);
        expect_same("residual + x", y, sum, N);
        k->apply(residual, x, residual, NULL, 0.5, 0, 1, N);
        expect_same("in place of residual", residual, sum, N);
        free(x), free(residual), free(y), free(sum);
    }
}

typedef struct reference {
    int64_t rows, n;
    double p;
    mm_stream stream;
    double *x, *dy;
} reference;

static double loss(const void *self) {
    const reference *r = self;
    double sum = 0;
    for (int64_t i = 0; i < r->rows * r->n; i++)
        sum += r->dy[i] * r->x[i] * (double)mask(&r->stream, r->p, i / r->n, i % r->n, r->n);
    return sum;
}

static void gradient_has_the_same_mask(void **state) {
    (void)state;
    enum { ROWS = 3, N = 70 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *x = numbers_new(ROWS * N, 1, 1), *dy = numbers_new(ROWS * N, 2, 1),
              *dx = numbers_nan(ROWS * N);
        reference r = {
            ROWS, N, 0.3, a_stream(128), numbers_double(x, ROWS * N), numbers_double(dy, ROWS * N)};
        mm_kernels_for(isa)->dropout->apply(dx, dy, NULL, &r.stream, r.p, 0, ROWS, N);
        double *gradient = numbers_double(dx, ROWS * N);
        expect_gradient("dx", gradient, r.x, ROWS * N, loss, &r); // the product rounds to float: 6e-8
        free(x), free(dy), free(dx), free(r.x), free(r.dy), free(gradient);
    }
}

static void as_much_is_dropped_as_asked_for(void **state) {
    (void)state;
    enum { ROWS = 100, N = 1000, COUNT = ROWS * N };
    const double p = 0.1, deviation = sqrt(COUNT * p * (1 - p));
    const mm_stream stream = a_stream(0);
    float *x = numbers_new(COUNT, 1, 1);
    for (int i = 0; i < COUNT; i++) x[i] = 1;
    mm_kernels_for(mm_isa_best())->dropout->apply(x, x, NULL, &stream, p, 0, ROWS, N);
    int dropped = 0;
    for (int i = 0; i < COUNT; i++) dropped += x[i] == 0;
    assert_true(fabs(dropped - COUNT * p) < 5 * deviation);
    free(x);
}

static void masks_have_rows_of_whole_blocks(void **state) {
    (void)state;
    assert_int_equal(mm_dropout_mask_elements(1, 1), 64);
    assert_int_equal(mm_dropout_mask_elements(10, 64), 640);
    assert_int_equal(mm_dropout_mask_elements(3, 65), 384);
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    enum { ROWS = 9, N = 101 };
    const mm_stream stream = a_stream(4096);
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *x = numbers_new(ROWS * N, 71, 1), *y = numbers_new(ROWS * N, 72, 1);
        mm_kernels_for(isa)->dropout->apply(y, x, y, &stream, 0.15, 0, ROWS, N);
        expect_hash("y", isa, y, ROWS * N * sizeof *y, "4a010094d3fdcdf72e847d03235ba7f2");
        free(x), free(y);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_follow_their_words),
        cmocka_unit_test(without_a_stream_nothing_is_dropped),
        cmocka_unit_test(gradient_has_the_same_mask),
        cmocka_unit_test(as_much_is_dropped_as_asked_for),
        cmocka_unit_test(masks_have_rows_of_whole_blocks),
        cmocka_unit_test(bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// Cross-entropy: kernel against a textbook reference in double, its gradient, extremes of the logits, and the
// bits.
#include <math.h>
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "numbers.h"

typedef struct reference {
    int64_t rows, vocab;
    double *logits;
    const int32_t *targets;
} reference;

static double log_sum_exp(const double *x, int64_t n) {
    double most = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - most);
    return most + log(sum);
}

static double loss(const void *self) {
    const reference *r = self;
    double sum = 0;
    for (int64_t row = 0; row < r->rows; row++) {
        const double *x = r->logits + row * r->vocab;
        sum += log_sum_exp(x, r->vocab) - x[r->targets[row]];
    }
    return sum;
}

// softmax - onehot, and the size of both terms.
static void gradient(const reference *r, double *d, double *magnitude) {
    for (int64_t row = 0; row < r->rows; row++) {
        const double *x = r->logits + row * r->vocab, all = log_sum_exp(x, r->vocab);
        for (int64_t i = 0; i < r->vocab; i++) {
            const double onehot = i == r->targets[row], p = exp(x[i] - all);
            d[row * r->vocab + i] = p - onehot;
            magnitude[row * r->vocab + i] = p + onehot;
        }
    }
}

static int32_t *draw_targets(int64_t rows, int64_t vocab) {
    int32_t *targets = calloc((size_t)rows, sizeof *targets);
    assert_non_null(targets);
    uint32_t seed = 3;
    for (int64_t row = 0; row < rows; row++) {
        seed = seed * 1664525u + 1013904223u;
        targets[row] = (int32_t)((seed >> 8) % (uint64_t)vocab);
    }
    targets[rows - 1] = (int32_t)vocab - 1;
    return targets;
}

static void gradient_is_the_central_difference(void **state) {
    (void)state;
    enum { ROWS = 3, VOCAB = 11 };
    float *x = numbers_new(ROWS * VOCAB, 1, 3);
    int32_t *targets = draw_targets(ROWS, VOCAB);
    reference r = {ROWS, VOCAB, numbers_double(x, ROWS * VOCAB), targets};
    double d[ROWS * VOCAB], unused[ROWS * VOCAB];
    gradient(&r, d, unused);
    expect_gradient("d logits", d, r.logits, ROWS * VOCAB, loss, &r);
    free(x), free(targets), free(r.logits);
}

static double sum_of(const mm_cross_entropy_kernels *k, const float *logits, const int32_t *targets,
                     int64_t rows, int64_t vocab) {
    double losses[16], sum = 0;
    assert_in_range(rows, 1, 16);
    k->forward(losses, logits, targets, rows, vocab);
    for (int64_t row = 0; row < rows; row++) sum += losses[row];
    return sum;
}

static void check(const mm_cross_entropy_kernels *k, int64_t rows, int64_t vocab, float range) {
    const int64_t count = rows * vocab;
    const float scale = 0.37f;
    float *x = numbers_new(count, 1, range);
    int32_t *targets = draw_targets(rows, vocab);
    reference r = {rows, vocab, numbers_double(x, count), targets};
    double *want = numbers_zero_double(count), *size = numbers_zero_double(count);
    gradient(&r, want, size);
    for (int64_t i = 0; i < count; i++) want[i] *= (double)scale, size[i] = size[i] * (double)scale + 0x1p-76;
    // An exponential: its argument is at most 2 * range and rounds once, which the exponential magnifies by
    // as much; its own 4 half-ulps. The sum: vocab/16 roundings in a lane and 4 in the tree. Then inverse,
    // factor and product. 2^-76 * 2^-24 is what becomes +0.
    const double relative = (2 * (double)range + 4 + (double)vocab / 16 + 4 + 4) * EPSILON;
    const double loss_want = loss(&r), loss_error = (double)rows * relative;
    const double found = sum_of(k, x, targets, rows, vocab);
    assert_true(fabs(found - loss_want) <= loss_error);
    double losses[16], again = 0;
    assert_in_range(rows, 1, 16);
    k->backward(losses, x, targets, rows, vocab, scale);
    for (int64_t row = 0; row < rows; row++) again += losses[row];
    assert_true(again == found);
    expect_near("d logits", x, want, size, relative, count);
    free(x), free(targets), free(r.logits), free(want), free(size);
}

static void kernels_are_the_reference(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {3, 7}, {5, 33}, {7, 100}, {3, 6400}};
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++)
        for (int s = 0; s < 5; s++) {
            check(mm_kernels_for(isa)->cross_entropy, sizes[s][0], sizes[s][1], 0.1f);
            check(mm_kernels_for(isa)->cross_entropy, sizes[s][0], sizes[s][1], 8);
            check(mm_kernels_for(isa)->cross_entropy, sizes[s][0], sizes[s][1], 150);
        }
}

static void gradients_are_never_tiny(void **state) {
    (void)state;
    enum { VOCAB = 300 };
    const int32_t target = 0;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        double loss;
        float *x = numbers_nan(VOCAB);
        for (int i = 0; i < VOCAB; i++) x[i] = -(float)i / 3;
        mm_kernels_for(isa)->cross_entropy->backward(&loss, x, &target, 1, VOCAB, 0x1p-20f);
        int zeros = 0;
        for (int i = 0; i < VOCAB; i++) {
            assert_true(x[i] == 0 ? !signbit(x[i]) : fabsf(x[i]) >= 0x1p-100f);
            zeros += x[i] == 0;
        }
        // e^(-i/3) * 2^-20 falls below 2^-100 where i > 3 * 80 * ln 2 = 166 and a bit for the sum of
        // exponentials.
        assert_in_range(zeros, VOCAB - 168, VOCAB - 163);
        // A target that is sure of itself: softmax - 1 is +0, not a remainder.
        float sure[2] = {200, 0};
        mm_kernels_for(isa)->cross_entropy->backward(&loss, sure, &target, 1, 2, 1);
        assert_true(sure[0] == 0 && !signbit(sure[0]) && sure[1] == 0);
        free(x);
    }
}

static void extremes_do_not_hide(void **state) {
    (void)state;
    const int32_t target = 1;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        const mm_cross_entropy_kernels *k = mm_kernels_for(isa)->cross_entropy;
        float large[] = {1e38f, 1e38f, -1e38f}, masked[] = {1, 1, -INFINITY}, lost[] = {1, 2, NAN},
              high[] = {1, 2, INFINITY};
        assert_true(fabs(sum_of(k, large, &target, 1, 3) - log(2)) < 1e-7);
        assert_true(fabs(sum_of(k, masked, &target, 1, 3) - log(2)) < 1e-7);
        assert_true(isnan(sum_of(k, lost, &target, 1, 3)));
        assert_false(isfinite(sum_of(k, high, &target, 1, 3)));
    }
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    enum { ROWS = 5, VOCAB = 1003 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *x = numbers_new(ROWS * VOCAB, 81, 12);
        int32_t *targets = draw_targets(ROWS, VOCAB);
        double losses[ROWS], sum = 0;
        mm_kernels_for(isa)->cross_entropy->backward(losses, x, targets, ROWS, VOCAB, 0x1p-9f);
        for (int row = 0; row < ROWS; row++) sum += losses[row];
        expect_hash("loss", isa, &sum, sizeof sum, "b75ce26aa856bf6a3a498d7b5777a65b");
        expect_hash("d logits", isa, x, ROWS * VOCAB * sizeof *x, "21ab6dc1b4f42690ea69df9656245c7e");
        free(x), free(targets);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_is_the_central_difference), cmocka_unit_test(kernels_are_the_reference),
        cmocka_unit_test(gradients_are_never_tiny),           cmocka_unit_test(extremes_do_not_hide),
        cmocka_unit_test(bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

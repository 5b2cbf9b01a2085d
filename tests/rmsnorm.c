// RMSNorm: kernel against a textbook reference in double, its gradient against central differences, and the
// bits.
#include <math.h>
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "numbers.h"

static const double eps = 1e-6;

// A problem in double, all rows contiguous; dx and dw are its gradient of sum(dy * y).
typedef struct reference {
    int64_t groups, n;
    double *x, *w, *dy;
} reference;

static double rms(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum / (double)n + (double)(float)eps);
}

static double loss(const void *self) {
    const reference *r = self;
    double sum = 0;
    for (int64_t g = 0; g < r->groups; g++) {
        const double *x = r->x + g * r->n, *dy = r->dy + g * r->n, root = rms(x, r->n);
        for (int64_t i = 0; i < r->n; i++) sum += dy[i] * r->w[i] * x[i] / root;
    }
    return sum;
}

// d/dx_i of sum_j dy_j w_j x_j / root = dy_i w_i / root - x_i / (n root^3) * sum_j dy_j w_j x_j. The
// magnitudes are the same with every term's absolute value.
static void gradient(const reference *r, double *dx, double *dw, double *dx_magnitude, double *dw_magnitude) {
    for (int64_t g = 0; g < r->groups; g++) {
        const double *x = r->x + g * r->n, *dy = r->dy + g * r->n, root = rms(x, r->n);
        double dot = 0, absolute = 0;
        for (int64_t i = 0; i < r->n; i++)
            dot += dy[i] * r->w[i] * x[i], absolute += fabs(dy[i] * r->w[i] * x[i]);
        for (int64_t i = 0; i < r->n; i++) {
            const double share = x[i] / ((double)r->n * root * root * root);
            dx[g * r->n + i] = dy[i] * r->w[i] / root - share * dot;
            dx_magnitude[g * r->n + i] = fabs(dy[i] * r->w[i] / root) + fabs(share) * absolute;
            dw[i] += dy[i] * x[i] / root;
            dw_magnitude[i] += fabs(dy[i] * x[i] / root);
        }
    }
}

static void gradient_is_the_central_difference(void **state) {
    (void)state;
    enum { GROUPS = 3, N = 19 };
    float *x = numbers_new(GROUPS * N, 1, 1), *w = numbers_new(N, 2, 2), *dy = numbers_new(GROUPS * N, 3, 1);
    reference r = {GROUPS, N, numbers_double(x, GROUPS * N), numbers_double(w, N),
                   numbers_double(dy, GROUPS * N)};
    double dx[GROUPS * N], dw[N] = {0}, unused[GROUPS * N] = {0}, unused_w[N] = {0};
    gradient(&r, dx, dw, unused, unused_w);
    expect_gradient("dx", dx, r.x, GROUPS * N, loss, &r);
    expect_gradient("dw", dw, r.w, N, loss, &r);
    free(x), free(w), free(dy), free(r.x), free(r.w), free(r.dy);
}

// Copies `rows` rows of `width` numbers into rows that are ld apart, with NaN between.
static float *spread(const float *x, int64_t rows, int64_t width, int64_t ld) {
    float *y = numbers_nan(rows * ld);
    for (int64_t row = 0; row < rows; row++) memcpy(y + row * ld, x + row * width, (size_t)width * sizeof *y);
    return y;
}

static float *gather(const float *x, int64_t rows, int64_t width, int64_t ld) {
    float *y = numbers_nan(rows * width);
    for (int64_t row = 0; row < rows; row++) memcpy(y + row * width, x + row * ld, (size_t)width * sizeof *y);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = width; i < ld; i++) assert_true(isnan(x[row * ld + i]));
    return y;
}

static void check_forward(const mm_rmsnorm_kernels *k, const reference *r, int64_t rows, int heads,
                          const float *x, const float *w) {
    const int64_t n = r->n, width = heads * n, ldx = width + 3, ldy = width + 1, count = rows * width;
    float *xs = spread(x, rows, width, ldx), *ys = numbers_nan(rows * ldy), *rstd = numbers_nan(rows * heads);
    k->forward(ys, ldy, xs, ldx, w, rstd, rows, heads, n, (float)eps);
    float *y = gather(ys, rows, width, ldy);
    double *want = numbers_zero_double(count), *want_rstd = numbers_zero_double(rows * heads);
    for (int64_t g = 0; g < rows * heads; g++) {
        want_rstd[g] = 1 / rms(r->x + g * n, n);
        for (int64_t i = 0; i < n; i++) want[g * n + i] = r->x[g * n + i] * r->w[i] * want_rstd[g];
    }
    // The sum has n/16 roundings in a lane, 4 in the tree, and its squares are fused; mean, eps, root and
    // inverse round once each and the root halves what came before; y rounds twice more.
    const double tolerance = ((double)n / 32 + 8) * EPSILON;
    expect_near("rstd", rstd, want_rstd, want_rstd, tolerance, rows * heads);
    expect_near("y", y, want, want, tolerance, count);
    k->forward(xs, ldx, xs, ldx, w, rstd, rows, heads, n, (float)eps);
    float *in_place = gather(xs, rows, width, ldx);
    expect_same("y in place of x", in_place, y, count);
    free(xs), free(ys), free(rstd), free(y), free(want), free(want_rstd), free(in_place);
}

static void check_backward(const mm_rmsnorm_kernels *k, const reference *r, int64_t rows, int heads,
                           const float *x, const float *w, const float *dy) {
    const int64_t n = r->n, width = heads * n, count = rows * width, ldx = width + 3, ldy = width + 2,
                  ldd = width + 1;
    float *xs = spread(x, rows, width, ldx), *dys = spread(dy, rows, width, ldy),
          *dxs = numbers_nan(rows * ldd);
    float *rstd = numbers_nan(rows * heads), *partials = numbers_nan(mm_rmsnorm_partials(rows * heads) * n),
          *dw = numbers_new(n, 9, 1);
    double *dx_want = numbers_zero_double(count), *dx_size = numbers_zero_double(count);
    double *dw_want = numbers_double(dw, n), *dw_size = numbers_zero_double(n);
    for (int64_t i = 0; i < n; i++) dw_size[i] = fabs(dw_want[i]);
    gradient(r, dx_want, dw_want, dx_size, dw_size);
    float *unused = numbers_nan(count);
    k->forward(unused, width, x, width, w, rstd, rows, heads, n, (float)eps);
    k->backward(dxs, ldd, partials, dys, ldy, xs, ldx, w, rstd, NULL, 0, rows, heads, n);
    k->add_partials(dw, partials, mm_rmsnorm_partials(rows * heads), n, n);
    float *dx = gather(dxs, rows, width, ldd);
    // rstd enters three times with n/32 + 7 roundings each, the dot product once with n/16 + 6.
    expect_near("dx", dx, dx_want, dx_size, ((double)n * 5 / 32 + 32) * EPSILON, count);
    // 64 terms in a partial sum, the partial sums one after another, and rstd's error.
    expect_near("dw", dw, dw_want, dw_size,
                (64 + (double)(rows * heads) / 64 + (double)n / 32 + 11) * EPSILON, n);

    float *add = numbers_new(count, 11, 1), *adds = spread(add, rows, width, ldd);
    for (int64_t i = 0; i < count; i++) dx_want[i] += (double)add[i], dx_size[i] += fabs((double)add[i]);
    k->backward(adds, ldd, partials, dys, ldy, xs, ldx, w, rstd, adds, ldd, rows, heads, n);
    float *added = gather(adds, rows, width, ldd);
    expect_near("dx + add", added, dx_want, dx_size, ((double)n * 5 / 32 + 33) * EPSILON, count);
    k->backward(dys, ldy, partials, dys, ldy, xs, ldx, w, rstd, add, width, rows, heads, n);
    float *in_place = gather(dys, rows, width, ldy);
    expect_same("dx in place of dy, and of add", in_place, added, count);
    free(xs), free(dys), free(dxs), free(rstd), free(partials), free(dw), free(dx_want), free(dx_size),
        free(dw_want);
    free(dw_size), free(unused), free(dx), free(add), free(adds), free(added), free(in_place);
}

static void kernels_are_the_reference(void **state) {
    (void)state;
    static const int sizes[][3] = {{5, 1, 16},  {3, 2, 33}, {7, 1, 96}, {131, 1, 100},
                                   {2, 3, 768}, {70, 1, 1}, {1, 1, 7}};
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const int64_t rows = sizes[s][0], n = sizes[s][2], count = rows * sizes[s][1] * n;
            const int heads = sizes[s][1];
            float *x = numbers_new(count, 1, 3), *w = numbers_new(n, 2, 2), *dy = numbers_new(count, 3, 1);
            reference r = {rows * heads, n, numbers_double(x, count), numbers_double(w, n),
                           numbers_double(dy, count)};
            const mm_rmsnorm_kernels *k = mm_kernels_for(isa)->rmsnorm;
            check_forward(k, &r, rows, heads, x, w);
            check_backward(k, &r, rows, heads, x, w, dy);
            free(x), free(w), free(dy), free(r.x), free(r.w), free(r.dy);
        }
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    enum { ROWS = 67, HEADS = 2, N = 100, COUNT = ROWS * HEADS * N };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        const mm_rmsnorm_kernels *k = mm_kernels_for(isa)->rmsnorm;
        float *x = numbers_new(COUNT, 21, 3), *w = numbers_new(N, 22, 2), *dy = numbers_new(COUNT, 23, 1);
        float *y = numbers_nan(COUNT), *rstd = numbers_nan(ROWS * HEADS), *dw = numbers_new(N, 24, 1);
        float *partials = numbers_nan(mm_rmsnorm_partials(ROWS * HEADS) * N);
        k->forward(y, HEADS * N, x, HEADS * N, w, rstd, ROWS, HEADS, N, 1e-6f);
        expect_hash("y", isa, y, COUNT * sizeof *y, "741de107da6f914df8134b5f3484989c");
        k->backward(y, HEADS * N, partials, dy, HEADS * N, x, HEADS * N, w, rstd, dy, HEADS * N, ROWS, HEADS,
                    N);
        k->add_partials(dw, partials, mm_rmsnorm_partials(ROWS * HEADS), N, N);
        expect_hash("dx", isa, y, COUNT * sizeof *y, "beebfac9ff6f6302b5e2a76566f6ef7a");
        expect_hash("dw", isa, dw, N * sizeof *dw, "f2b569fba7c7fd0a7e84eafc06b21deb");
        free(x), free(w), free(dy), free(y), free(rstd), free(dw), free(partials);
    }
}

// Else weights of 1e20 would train to the end, each step with the loss of knowing nothing.
static void squares_beyond_float_are_no_zero(void **state) {
    (void)state;
    float x[20] = {0}, y[20], w[20] = {0}, rstd;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        x[3] = 0x1p63f;
        mm_kernels_for(isa)->rmsnorm->forward(y, 20, x, 20, w, &rstd, 1, 1, 20, 1e-6f);
        assert_true(isfinite(rstd) && rstd > 0 && y[0] == 0);
        x[3] = 0x1p64f;
        mm_kernels_for(isa)->rmsnorm->forward(y, 20, x, 20, w, &rstd, 1, 1, 20, 1e-6f);
        assert_true(isnan(rstd) && isnan(y[0]) && isnan(y[3]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_is_the_central_difference),
        cmocka_unit_test(kernels_are_the_reference),
        cmocka_unit_test(bits_are_the_same_everywhere),
        cmocka_unit_test(squares_beyond_float_are_no_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// Matrix times vector: the stated definition to the bit, whatever the build and however the rows are cut;
// near the product in double.
#include <mm/base/mathfn.h>
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "numbers.h"

// gemv.h's words.
static float defined(const float *w, const float *x, int64_t n) {
    float lanes[MM_LANES] = {0};
    for (int64_t i = 0; i < n; i++) lanes[i % MM_LANES] = fmaf(w[i], x[i], lanes[i % MM_LANES]);
    return mm_lane_sum(lanes);
}

static void check(const mm_gemv_kernels *k, int64_t rows, int64_t n) {
    float *w = numbers_new(rows * n, 1, 1), *x = numbers_new(n, 2, 1), *y = numbers_nan(rows);
    float *want = numbers_nan(rows), *cut = numbers_nan(rows);
    double *near = numbers_zero_double(rows), *size = numbers_zero_double(rows);
    for (int64_t row = 0; row < rows; row++) {
        want[row] = defined(w + row * n, x, n);
        for (int64_t i = 0; i < n; i++) {
            double term = (double)w[row * n + i] * (double)x[i];
            near[row] += term;
            size[row] += fabs(term);
        }
    }
    k->run(y, w, x, rows, n);
    expect_same("w x", y, want, rows);
    for (int64_t row = 0; row < rows; row += 3)
        k->run(cut + row, w + row * n, x, rows - row < 3 ? rows - row : 3, n);
    expect_same("w x, cut", cut, want, rows);
    // A lane's terms one after another, then four levels of the tree.
    expect_near("w x", y, near, size, ((double)n / MM_LANES + 5) * EPSILON, rows);
    free(w), free(x), free(y), free(want), free(cut), free(near), free(size);
}

static void kernels_are_the_definition(void **state) {
    (void)state;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        const mm_gemv_kernels *k = mm_kernels_for(isa)->gemv;
        check(k, 1, 1);
        check(k, 3, 15);
        check(k, 4, 16);
        check(k, 7, 100);
        check(k, 66, 193);
        check(k, 5, 768);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernels_are_the_definition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

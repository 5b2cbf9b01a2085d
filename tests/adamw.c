// AdamW and the norm against PyTorch's order of operations written out in double, and the bits.
#include <float.h>
#include <math.h>
#include <mm/optim/adamw.h>
#include <mm/optim/clip.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "numbers.h"

static const mm_adamw defaults = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};

static void expect_close(float got, double want) {
    // One rounding to float of what double leaves of 1 - beta^t: its cancellation costs at most 1/(1 - beta2)
    // ulp.
    assert_true(fabs((double)got - want) <= (EPSILON + 1e-12) * fabs(want));
}

static void scalars_are_functions_of_the_step(void **state) {
    (void)state;
    static const int64_t steps[] = {1, 2, 10, 999, 100000};
    for (int s = 0; s < 5; s++) {
        const double t = (double)steps[s];
        const mm_adamw_scalars k = mm_adamw_at(&defaults, 3e-4, 0.01, 0.25, steps[s]);
        expect_close(k.decay, 1 - 3e-4 * 0.01);
        expect_close(k.beta1, 0.9);
        expect_close(k.one_minus_beta1, 1 - 0.9);
        expect_close(k.beta2, 0.999);
        expect_close(k.one_minus_beta2, 1 - 0.999);
        expect_close(k.step_size, 3e-4 / (1 - pow(0.9, t)));
        expect_close(k.root_bias2, sqrt(1 - pow(0.999, t)));
        expect_close(k.eps, 1e-8);
        expect_close(k.scale, 0.25);
    }
    assert_true(mm_adamw_at(&defaults, 3e-4, 0, 1, 1).decay == 1);
}

// Large enough to be seen in an update; 1e-8 would be lost in the roundings of these numbers.
static const mm_adamw visible_eps = {.beta1 = 0.9, .beta2 = 0.999, .eps = 0.1};

// Steps of torch.optim.AdamW on one weight, as its documentation has them.
static void reference_step(double *w, double *m, double *v, double gradient, double lr, double decay,
                           double t) {
    *w -= lr * decay * *w;
    *m = 0.9 * *m + 0.1 * gradient;
    *v = 0.999 * *v + 0.001 * gradient * gradient;
    const double m_hat = *m / (1 - pow(0.9, t)), v_hat = *v / (1 - pow(0.999, t));
    *w -= lr * m_hat / (sqrt(v_hat) + visible_eps.eps);
}

static void kernels_are_the_reference(void **state) {
    (void)state;
    enum { N = 101, STEPS = 8 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *w = numbers_new(N, 1, 1), *m = numbers_new(N, 2, 0), *v = numbers_new(N, 3, 0);
        double *rw = numbers_double(w, N), *rm = numbers_double(m, N), *rv = numbers_double(v, N);
        double *w_size = numbers_zero_double(N), *m_size = numbers_zero_double(N), updates[N] = {0};
        for (int64_t t = 1; t <= STEPS; t++) {
            const double lr = 1e-3 * (double)t, scale = 1 / (double)t;
            float *g = numbers_new(N, 10 + (uint32_t)t, 2);
            g[5] = 0;
            const mm_adamw_scalars k = mm_adamw_at(&visible_eps, lr, 0.01, scale, t);
            mm_optim_kernels_for(isa)->adamw(w, m, v, g, N, &k);
            for (int i = 0; i < N; i++) {
                reference_step(&rw[i], &rm[i], &rv[i], (double)g[i] * scale, lr, 0.01, (double)t);
                m_size[i] = 0.9 * m_size[i] + 0.1 * fabs((double)g[i] * scale);
                const double root = sqrt(rv[i] / (1 - pow(0.999, (double)t))) + visible_eps.eps;
                updates[i] += lr * m_size[i] / (1 - pow(0.9, (double)t)) / root;
                w_size[i] = fabs(rw[i]) + updates[i];
            }
            free(g);
        }
        // The scale, each beta and each operation round once: fewer than 8 a step, on terms of this size; |w|
        // itself rounds twice a step.
        expect_near("m", m, rm, m_size, 8 * STEPS * EPSILON, N);
        expect_near("v", v, rv, rv, 8 * STEPS * EPSILON, N);
        expect_near("w", w, rw, w_size, 8 * STEPS * EPSILON, N);
        free(w), free(m), free(v), free(rw), free(rm), free(rv), free(w_size), free(m_size);
    }
}

static void moments_are_never_tiny(void **state) {
    (void)state;
    enum { N = 40 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *w = numbers_new(N, 1, 1), *m = numbers_new(N, 2, 0x1p-97f), *v = numbers_new(N, 3, 0),
              *g = numbers_new(N, 4, 0);
        for (int i = 0; i < N; i++) v[i] = ldexpf(1, -80 - i);
        const mm_adamw_scalars k = mm_adamw_at(&defaults, 1e-3, 0, 1, 1);
        mm_optim_kernels_for(isa)->adamw(w, m, v, g, N, &k);
        for (int i = 0; i < N; i++) {
            assert_true(m[i] == 0 ? !signbit(m[i]) : fabsf(m[i]) >= 0x1p-100f);
            assert_int_equal(v[i] == 0, -80 - i <= -100); // 0.999 * 2^-100 is below
            assert_true(isfinite(w[i]));
        }
        free(w), free(m), free(v), free(g);
    }
}

// Whether the numbers were so before or become so, at every place of a vector and of the rest.
static void spoiled_numbers_are_seen(void **state) {
    (void)state;
    enum { N = 37, ARRAYS = 4 };
    // The last: a gradient whose square is infinite, and a weight that its decay takes beyond the largest.
    static const float bad[][ARRAYS] = {{INFINITY, INFINITY, INFINITY, INFINITY},
                                        {-INFINITY, -INFINITY, -INFINITY, -INFINITY},
                                        {NAN, NAN, NAN, NAN},
                                        {-FLT_MAX, FLT_MAX, FLT_MAX, 1e21f}};
    mm_adamw_scalars k = mm_adamw_at(&defaults, 1e-3, 0.01, 1, 2);
    k.decay = k.beta1 = k.beta2 = 1.5f;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++)
        for (int at = -1; at < N; at++)
            for (int i = 0; i < ARRAYS * 4; i++) {
                float *all = numbers_new(ARRAYS * N, 1, 1), *v = all + 2 * N;
                for (int j = 0; j < N; j++) v[j] = fabsf(v[j]);
                all[0] = FLT_MAX / 2; // as large as it may be
                if (at >= 0) all[i % ARRAYS * N + at] = bad[i / ARRAYS][i % ARRAYS];
                assert_int_equal(mm_optim_kernels_for(isa)->adamw(all, all + N, v, all + 3 * N, N, &k),
                                 at < 0);
                free(all);
            }
}

static void norm_and_clip(void **state) {
    (void)state;
    static const int sizes[] = {0, 1, 15, 16, 33, 4095, 4096};
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++)
        for (int s = 0; s < 7; s++) {
            float *g = numbers_new(sizes[s], 1, 1e-3f);
            long double want = 0;
            for (int i = 0; i < sizes[s]; i++) want += (long double)g[i] * (long double)g[i];
            // 256 roundings in a lane and 4 in the tree, in double.
            const double got = mm_optim_kernels_for(isa)->sum_squares(g, sizes[s]);
            assert_true(fabs(got - (double)want) <= 262 * 0x1p-53 * (double)want);
            free(g);
        }
    assert_true(mm_clip_scale(0.5, 1) == 1);
    assert_true(mm_clip_scale(4, 1) == 1 / (4 + 1e-6));
    assert_true(mm_clip_scale(4, 0) == 1);
    assert_true(isnan(mm_clip_scale(NAN, 1)));
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    enum { N = 1021 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *all = numbers_new(3 * N, 91, 1), *w = all, *m = w + N, *v = m + N, *g = numbers_new(N, 92, 1);
        for (int i = 0; i < N; i++) v[i] = fabsf(v[i]);
        const mm_adamw_scalars k = mm_adamw_at(&defaults, 1e-3, 0.01, 0.7, 3);
        mm_optim_kernels_for(isa)->adamw(w, m, v, g, N, &k);
        expect_hash("w, m, v", isa, all, 3 * N * sizeof *all, "7fc8246737c77c470cee93036e27d08c");
        double sums[17];
        for (int i = 0; i < 17; i++) sums[i] = mm_optim_kernels_for(isa)->sum_squares(all, 3 * N - i);
        expect_hash("sums of squares", isa, sums, sizeof sums, "7846d58c94b83db414678c7f6eb3b629");
        free(all), free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_functions_of_the_step),
        cmocka_unit_test(kernels_are_the_reference),
        cmocka_unit_test(moments_are_never_tiny),
        cmocka_unit_test(spoiled_numbers_are_seen),
        cmocka_unit_test(norm_and_clip),
        cmocka_unit_test(bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

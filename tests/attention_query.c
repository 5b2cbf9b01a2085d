// Attention of one query against a textbook reference in double, and the bits.
#include <math.h>
#include <mm/base/mathfn.h>
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "numbers.h"

static void reference(double *o, double *size, const float *q, const float *k, const float *v, int64_t keys,
                      int n, double scale) {
    double *w = numbers_zero_double(keys), most = -INFINITY, sum = 0;
    for (int64_t key = 0; key < keys; key++) {
        for (int i = 0; i < n; i++) w[key] += scale * (double)q[i] * (double)k[key * n + i];
        most = fmax(most, w[key]);
    }
    for (int64_t key = 0; key < keys; key++) sum += w[key] = mm_exp(w[key] - most);
    for (int64_t key = 0; key < keys; key++)
        for (int i = 0; i < n; i++) {
            o[i] += w[key] / sum * (double)v[key * n + i];
            size[i] += w[key] / sum * fabs((double)v[key * n + i]);
        }
    free(w);
}

static float *run(mm_isa isa, int64_t keys, int n, float size) {
    float *q = numbers_new(n, 1, size), *k = numbers_new(keys * n, 2, size), *v = numbers_new(keys * n, 3, 1);
    float *o = numbers_nan(n), *scores = numbers_nan((keys + MM_LANES - 1) / MM_LANES * MM_LANES);
    const float scale = 1.0f / sqrtf((float)n);
    mm_kernels_for(isa)->attention_query->forward(o, q, k, v, keys, n, scale, scores);
    double *want = numbers_zero_double(n), *magnitude = numbers_zero_double(n);
    reference(want, magnitude, q, k, v, keys, n, (double)scale);
    // A score of at most size^2 sqrt(n) is off by n / 16 + 5 roundings, its weight by as much; then the sums
    // over keys.
    double score = (double)(size * size) * sqrt(n) * (n / 16.0 + 7);
    expect_near("o", o, want, magnitude, (2 * score + (double)keys + (double)keys / 16 + 12) * EPSILON, n);
    free(q), free(k), free(v), free(scores), free(want), free(magnitude);
    return o;
}

static void kernels_are_the_reference(void **state) {
    (void)state;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        const int64_t keys[] = {1, 2, 15, 16, 17, 130};
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            free(run(isa, keys[i], 96, 1));
            free(run(isa, keys[i], 10, 3));
        }
    }
}

// One key's score is far above the others': the others' weights are +0, and the output is its value.
static void a_far_larger_score_takes_all(void **state) {
    (void)state;
    enum { N = 16, KEYS = 20 };
    float q[N], k[KEYS * N] = {0}, v[KEYS * N], o[N], scores[2 * MM_LANES];
    for (int i = 0; i < N; i++) q[i] = 1, k[7 * N + i] = 100;
    for (int i = 0; i < KEYS * N; i++) v[i] = (float)i;
    mm_kernels_for(mm_isa_best())->attention_query->forward(o, q, k, v, KEYS, N, 1, scores);
    assert_memory_equal(o, v + 7 * N, sizeof o);
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    enum { KEYS = 141, N = 40 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *o = run(isa, KEYS, N, 2);
        expect_hash("o", isa, o, N * sizeof *o, "7eeb77cb21a3ff6d094d5c012bed0b7b");
        free(o);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_are_the_reference),
        cmocka_unit_test(a_far_larger_score_takes_all),
        cmocka_unit_test(bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

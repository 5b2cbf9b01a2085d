#include "numbers.h"

#include <math.h>
#include <mm/base/hash.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *allocate(int64_t n, size_t bytes) {
    void *x = calloc((size_t)n + 1, bytes);
    assert_non_null(x);
    return x;
}

float *numbers_new(int64_t n, uint32_t seed, float scale) {
    float *x = allocate(n, sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)((int32_t)(seed >> 8) - (1 << 23)) * 0x1p-23f * scale;
    }
    return x;
}

float *numbers_nan(int64_t n) {
    float *x = allocate(n, sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = NAN;
    return x;
}

float *numbers_copy(const float *x, int64_t n) {
    float *y = allocate(n, sizeof *y);
    memcpy(y, x, (size_t)n * sizeof *y);
    return y;
}

double *numbers_double(const float *x, int64_t n) {
    double *y = allocate(n, sizeof *y);
    for (int64_t i = 0; i < n; i++) y[i] = (double)x[i];
    return y;
}

double *numbers_zero_double(int64_t n) {
    return allocate(n, sizeof(double));
}

uint64_t numbers_draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void expect_near(const char *what, const float *got, const double *want, const double *magnitude,
                 double tolerance, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * fabs(magnitude[i])))
            fail_msg("%s, element %lld of %lld: got %.9g, want %.17g, off by %.3g, at most %.3g", what,
                     (long long)i, (long long)n, (double)got[i], want[i], fabs((double)got[i] - want[i]),
                     tolerance * fabs(magnitude[i]));
}

void expect_same(const char *what, const float *got, const float *want, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) != 0)
            fail_msg("%s, element %lld of %lld: got %a, want %a", what, (long long)i, (long long)n,
                     (double)got[i], (double)want[i]);
}

void expect_hash(const char *what, mm_isa isa, const void *data, size_t size, const char *hash) {
    char text[MM_HASH_TEXT];
    mm_hash_print(mm_hash_bytes(data, size), text);
    if (strcmp(text, hash) != 0) fail_msg("%s on %s: bits %s, want %s", what, mm_isa_name(isa), text, hash);
}

void expect_gradient(const char *what, const double *gradient, double *x, int64_t n,
                     double (*loss)(const void *self), const void *self) {
    const double step = 1e-5;
    double largest = 1;
    for (int64_t i = 0; i < n; i++) largest = fabs(gradient[i]) > largest ? fabs(gradient[i]) : largest;
    for (int64_t i = 0; i < n; i++) {
        const double kept = x[i];
        x[i] = kept + step;
        const double above = loss(self);
        x[i] = kept - step;
        const double below = loss(self);
        x[i] = kept;
        const double slope = (above - below) / (2 * step);
        if (!(fabs(slope - gradient[i]) <= 1e-7 * largest))
            fail_msg("%s, element %lld: gradient %.12g, central difference %.12g", what, (long long)i,
                     gradient[i], slope);
    }
}

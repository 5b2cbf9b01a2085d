// exp, log, sin, cos of our own: how far they are from the true values, and that their bits are the same on
// every compiler and CPU. References are libm's double (for float) and long double (for double), which err by
// less than 0.01 ulp of what is tested on x86; where long double is double, by 1 ulp.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <mm/base/hash.h>
#include <mm/base/mathfn.h>
#include <mm/base/rng.h>

static const double bound = LDBL_MANT_DIG > DBL_MANT_DIG ? 2.0 : 3.0; // ulp
static const uint64_t seed = 20250117;

static uint64_t draw(uint64_t index) {
    return mm_hash_seed(seed, index);
}

// In (0, 1).
static double uniform(uint64_t index) {
    return ((double)(draw(index) >> 12) + 0.5) * 0x1p-52;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double double_of(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

// The difference in units in the last place that a double has at `reference`.
static double ulps(double value, long double reference) {
    int exponent;
    frexpl(reference, &exponent);
    int lowest = exponent - DBL_MANT_DIG;
    if (lowest < DBL_MIN_EXP - DBL_MANT_DIG) lowest = DBL_MIN_EXP - DBL_MANT_DIG;
    return (double)fabsl(ldexpl((long double)value - reference, -lowest));
}

static void check(const char *name, double x, double value, long double reference, double most,
                  double *worst) {
    double error = ulps(value, reference);
    if (!(error <= most)) fail_msg("%s(%a) = %a is %.3f ulp from %La", name, x, value, error, reference);
    if (error > *worst) *worst = error;
}

static void expf_is_within_2_ulp(void **state) {
    (void)state;
    double worst = 0;
    for (uint64_t bits = 0; bits < (uint64_t)1 << 32; bits += 997) {
        float x = float_of((uint32_t)bits);
        if (!(x >= -87.0f && x <= 88.72283f)) continue;
        double reference = exp((double)x);
        int exponent;
        frexp(reference, &exponent);
        double error = fabs(ldexp((double)mm_expf(x) - reference, FLT_MANT_DIG - exponent));
        if (!(error <= 2.0)) fail_msg("mm_expf(%a) is %.3f ulp off", (double)x, error);
        if (error > worst) worst = error;
    }
    print_message("mm_expf: at most %.3f ulp\n", worst);
}

static void expf_has_its_edges(void **state) {
    (void)state;
    assert_int_equal(bits_of(mm_expf(-INFINITY)), 0);
    assert_int_equal(bits_of(mm_expf(nextafterf(-87.0f, -INFINITY))), 0);
    assert_int_equal(bits_of(mm_expf(-FLT_MAX)), 0);
    assert_true(mm_expf(-87.0f) > FLT_MIN);
    assert_true(mm_expf(88.72283f) > 0x1.fffp127f && mm_expf(88.72283f) < INFINITY);
    assert_true(mm_expf(nextafterf(88.72283f, INFINITY)) == INFINITY);
    assert_true(mm_expf(FLT_MAX) == INFINITY && mm_expf(INFINITY) == INFINITY);
    assert_true(isnan(mm_expf(NAN)) && isnan(mm_expf(-NAN)));
    const float ones[] = {0.0f, -0.0f, 0x1p-149f, -0x1p-149f, 0x1p-126f, -0x1p-126f, 0x1p-30f};
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) assert_true(mm_expf(ones[i]) == 1.0f);
    assert_true(mm_sigmoidf(0.0f) == 0.5f);
    assert_true(mm_sigmoidf(-INFINITY) == 0.0f && mm_sigmoidf(INFINITY) == 1.0f);
    assert_true(mm_sigmoidf(100.0f) == 1.0f && mm_sigmoidf(-100.0f) == 0.0f);
    assert_true(isnan(mm_sigmoidf(NAN)));
}

static void exp_is_within_2_ulp(void **state) {
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    double worst = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        double x = -708.0 + uniform(i) * (709.78 + 708.0);
        if (i % 4 == 1) x = (uniform(i) - 0.5) * 0x1p-3;
        if (i % 4 == 2) x = (nearbyint(x) + 0.5) * 0x1.62e42fefa39efp-1; // where the reduction changes n
        if (!(x >= -708 && x <= 709.78)) continue;
        check("mm_exp", x, mm_exp(x), expl((long double)x), bound, &worst);
    }
    print_message("mm_exp: at most %.3f ulp\n", worst);
    assert_true(mm_exp(0.0) == 1.0 && mm_exp(-0.0) == 1.0 && mm_exp(0x1p-1074) == 1.0);
    assert_true(mm_exp(nextafter(-708, -INFINITY)) == 0 && mm_exp(-INFINITY) == 0 &&
                !signbit(mm_exp(-1e300)));
    assert_true(mm_exp(nextafter(709.78, INFINITY)) == INFINITY && mm_exp(INFINITY) == INFINITY);
    assert_true(mm_exp(709.78) < INFINITY && isnan(mm_exp(NAN)));
}

static void log_is_within_2_ulp(void **state) {
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    double worst = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        double x = double_of(draw(i) & 0x7fffffffffffffffu); // every exponent, subnormals too
        if (i % 4 == 1) x = 1.0 + (uniform(i) - 0.5) * 0x1p-4;
        if (i % 4 == 2) x = 1.0 + ldexp(uniform(i) - 0.5, -(int)(i % 53));
        if (i % 64 == 3) x = double_of(draw(i) & 0x000fffffffffffffu);
        if (!(x > 0 && x < INFINITY)) continue;
        check("mm_log", x, mm_log(x), logl((long double)x), bound, &worst);
    }
    print_message("mm_log: at most %.3f ulp\n", worst);
    assert_true(mm_log(1.0) == 0 && mm_log(INFINITY) == INFINITY);
    assert_true(mm_log(0.0) == -INFINITY && mm_log(-0.0) == -INFINITY);
    assert_true(isnan(mm_log(-1.0)) && isnan(mm_log(-INFINITY)) && isnan(mm_log(NAN)));
    check("mm_log", 0x1p-1074, mm_log(0x1p-1074), logl(0x1p-1074L), bound, &worst);
    check("mm_log", DBL_MAX, mm_log(DBL_MAX), logl((long double)DBL_MAX), bound, &worst);
}

static void sincos_is_within_2_ulp(void **state) {
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    double worst = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        double x = ldexp(uniform(i), (int)(i % 64) - 33), sine, cosine;
        // The double nearest to a multiple of pi/2, where the result is all that the reduction leaves.
        if (i % 4 == 1) x = (double)(nearbyintl((long double)x) * 1.57079632679489661923132169163975L);
        if (i & 16) x = -x;
        if (!(fabs(x) < 0x1p30)) continue;
        mm_sincos(x, &sine, &cosine);
        check("sin", x, sine, sinl((long double)x), bound, &worst);
        check("cos", x, cosine, cosl((long double)x), bound, &worst);
    }
    print_message("mm_sincos: at most %.3f ulp\n", worst);
    double sine, cosine;
    mm_sincos(-0.0, &sine, &cosine);
    assert_true(sine == 0 && signbit(sine) && cosine == 1);
    mm_sincos(NAN, &sine, &cosine);
    assert_true(isnan(sine) && isnan(cosine));
    mm_sincos(0x1p30, &sine, &cosine); // where positions below it round to
    check("sin", 0x1p30, sine, sinl(0x1p30L), bound, &worst);
}

static void pow_and_powi_are_close(void **state) {
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    double worst = 0, worst_powi = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        // y log x is rounded before exp: half an ulp of it, beside log's 2 ulp, is that much relative error.
        double x = ldexp(0.5 + uniform(3 * i), (int)(i % 21) - 10), y = (uniform(3 * i + 1) - 0.5) * 20;
        double most = bound + (bound + 1) * fabs(y * log(x));
        check("mm_pow", x, mm_pow(x, y), powl((long double)x, (long double)y), most, &worst);
        // powl's own error grows with n log x as well: kept below 2^5.
        int64_t n = (int64_t)(draw(3 * i + 2) % ((uint64_t)1 << (i % 20)));
        double base = mm_exp((uniform(3 * i + 2) - 0.5) * 64 / (double)(n + 1));
        check("mm_powi", base, mm_powi(base, n), powl((long double)base, (long double)n), bound, &worst_powi);
    }
    print_message("mm_pow: at most %.3f ulp, mm_powi: %.3f\n", worst, worst_powi);
    assert_true(mm_powi(-3, 3) == -27 && mm_powi(-3, 4) == 81 && mm_powi(0.9, 0) == 1 && mm_powi(7, 1) == 7);
    assert_true(mm_powi(0, 5) == 0 && mm_powi(0.5, 2000) == 0 && mm_powi(10, 400) == INFINITY);
    assert_true(mm_powi(INFINITY, 3) == INFINITY && isnan(mm_powi(NAN, 2)));
    assert_true(mm_powi(0.999, INT64_MAX) == 0);
}

// What every build and CPU must give. They change only with MM_STREAMS_VERSION and the version of the
// arithmetic.
static void bits_are_the_committed_ones(void **state) {
    (void)state;
    char text[MM_HASH_TEXT];
    mm_hasher *hasher = mm_hasher_new();
    assert_non_null(hasher);
    for (uint64_t bits = 0; bits < (uint64_t)1 << 32; bits += 1021) {
        float x = float_of((uint32_t)bits);
        if (x != x) continue;
        float results[2] = {mm_expf(x), mm_sigmoidf(x)};
        mm_hasher_add(hasher, results, sizeof results);
    }
    assert_string_equal(mm_hash_print(mm_hasher_end(hasher), text), "36b070f473da18ebbddefcfd39430ee9");
    mm_hasher_reset(hasher);
    for (int64_t i = -200000; i < 200000; i++) {
        double x = (double)i / 256, a = 1 + fabs(x), results[6];
        results[0] = x > 709 ? 0 : mm_exp(x);
        results[1] = mm_log(a);
        mm_sincos(x * 1000, &results[2], &results[3]);
        results[4] = mm_pow(a, 0.3);
        results[5] = mm_powi(1 - 1 / a, i < 0 ? -i : i);
        mm_hasher_add(hasher, results, sizeof results);
    }
    assert_string_equal(mm_hash_print(mm_hasher_end(hasher), text), "efbbc3b7ffa6d4296b8d7781709a3515");
    mm_hasher_free(hasher);
}

static void lanes_are_summed_in_the_stated_tree(void **state) {
    (void)state;
    float lanes[MM_LANES];
    for (int l = 0; l < MM_LANES; l++) lanes[l] = ldexpf(1.0f + 0x1p-23f * (float)(l * l), l % 5 - 2);
    float level[8];
    for (int l = 0; l < 8; l++) level[l] = lanes[l] + lanes[l + 8];
    float a = level[0] + level[4], b = level[1] + level[5], c = level[2] + level[6], d = level[3] + level[7];
    assert_int_equal(bits_of(mm_lane_sum(lanes)), bits_of((a + c) + (b + d)));
    assert_true(mm_lane_max(lanes) == lanes[14]);
    lanes[3] = 100;
    assert_true(mm_lane_max(lanes) == 100);
    assert_int_equal(bits_of(mm_flush(-0x1.fp-101f)), 0);
    assert_true(mm_flush(-0x1p-100f) == -0x1p-100f && isnan(mm_flush(NAN)) && mm_flush(INFINITY) == INFINITY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expf_is_within_2_ulp),        cmocka_unit_test(expf_has_its_edges),
        cmocka_unit_test(exp_is_within_2_ulp),         cmocka_unit_test(log_is_within_2_ulp),
        cmocka_unit_test(sincos_is_within_2_ulp),      cmocka_unit_test(pow_and_powi_are_close),
        cmocka_unit_test(bits_are_the_committed_ones), cmocka_unit_test(lanes_are_summed_in_the_stated_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

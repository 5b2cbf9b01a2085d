// exp, log, sin, cos of our own, of + * / sqrt fma and integer steps only, so that every compiler and CPU
// gives the same bits (libm's differ). What kernels use is inlined; the other double ones serve scalars.
#ifndef MM_BASE_MATHFN_H
#define MM_BASE_MATHFN_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error                                                                                                       \
    "bits need IEEE arithmetic: build without options that loosen it, to be fast or for finite numbers only"
#endif
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error                                                                                                       \
    "a float must be evaluated as a float: build for a CPU with SSE2 (-msse2 -mfpmath=sse), not for the x87"
#endif
_Static_assert(sizeof(long) == 8 && sizeof(void *) == 8, "mm is for 64-bit systems");

enum { MM_LANES = 16 }; // a sum's lanes: element i goes to lane i mod 16, the tail is filled with +0

// Vectors for the trees below: of halves and quarters of the lanes. From loops over arrays compilers make
// single numbers by way of memory, worth as much as the whole sum over a short row.
typedef float mm_lanes_8 __attribute__((vector_size(32)));
typedef float mm_lanes_4 __attribute__((vector_size(16)));
typedef int32_t mm_lanes_8_mask __attribute__((vector_size(32)));
typedef int32_t mm_lanes_4_mask __attribute__((vector_size(16)));

// The fixed tree over the lanes of a sum: lane l takes lane l + h for h = 8, 4, 2, 1.
static inline __attribute__((always_inline)) float mm_lane_sum(const float lanes[MM_LANES]) {
    mm_lanes_8 low, high;
    memcpy(&low, lanes, sizeof low);
    memcpy(&high, lanes + MM_LANES / 2, sizeof high);
    const mm_lanes_8 t8 = low + high;
    const mm_lanes_4 t4 = (mm_lanes_4){t8[0], t8[1], t8[2], t8[3]} + (mm_lanes_4){t8[4], t8[5], t8[6], t8[7]};
    return (t4[0] + t4[2]) + (t4[1] + t4[3]);
}

// The same for the largest; any order gives the same.
static inline __attribute__((always_inline)) float mm_lane_max(const float lanes[MM_LANES]) {
    mm_lanes_8 low, high;
    memcpy(&low, lanes, sizeof low);
    memcpy(&high, lanes + MM_LANES / 2, sizeof high);
    const mm_lanes_8_mask m8 = high > low;
    const mm_lanes_8 t8 = (mm_lanes_8)(((mm_lanes_8_mask)high & m8) | ((mm_lanes_8_mask)low & ~m8));
    const mm_lanes_4 a = {t8[0], t8[1], t8[2], t8[3]}, b = {t8[4], t8[5], t8[6], t8[7]};
    const mm_lanes_4_mask m4 = b > a;
    const mm_lanes_4 t4 = (mm_lanes_4)(((mm_lanes_4_mask)b & m4) | ((mm_lanes_4_mask)a & ~m4));
    float even = t4[2] > t4[0] ? t4[2] : t4[0], odd = t4[3] > t4[1] ? t4[3] : t4[1];
    return odd > even ? odd : even;
}

// +0 for what is below 2^-100 in magnitude (a subnormal costs 200 times as much in GEMM), else x. NaN stays.
static inline float mm_flush(float x) {
    return fabsf(x) < 0x1p-100f ? 0.0f : x;
}

// e^x: exactly +0 below -87 and for -infinity, +infinity above 88.72283, NaN for NaN, within 2 ulp between.
// Cody-Waite reduction and the minimax polynomial of Cephes' expf.
static inline float mm_expf(float x) {
    float shifted = fmaf(x, 1.44269504f, 12582912.0f); // its low bits are the nearest whole number
    float n = shifted - 12582912.0f;
    float r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    p = fmaf(p * r, r, r) + 1.0f;
    // Times 2^n: added to the exponent, which is exact as long as the result is finite and not subnormal.
    uint32_t bits, power;
    memcpy(&bits, &p, sizeof bits);
    memcpy(&power, &shifted, sizeof power);
    bits += power << 23;
    float y;
    memcpy(&y, &bits, sizeof y);
    y = x < -87.0f ? 0.0f : y;
    return x <= 88.72283f ? y : x + INFINITY; // NaN stays
}

// 1 / (1 + e^-x).
static inline float mm_sigmoidf(float x) {
    return 1.0f / (1.0f + mm_expf(-x));
}

// ln 2 in two parts; the first has 32 bits, so that its product with an exponent is exact.
static const double mm_ln2_high = 0x1.62e42feep-1, mm_ln2_low = 0x1.a39ef35793c76p-33;

// In double, within 2 ulp: -infinity for 0, NaN below it and for NaN. fdlibm's polynomial (e_log.c).
static inline double mm_log(double x) {
    if (x != x || x == INFINITY) return x;
    if (x == 0) return -INFINITY;
    if (x < 0) return NAN;
    int64_t n = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        n = -54;
    }
    // x = 2^n m with sqrt(1/2) <= m < sqrt(2).
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    n += (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        n++;
    }
    // log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)), where s = f / (2 + f).
    double f = m - 1.0, s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    double p = 1.479819860511658591e-01;
    p = fma(p, z, 1.531383769920937332e-01);
    p = fma(p, z, 1.818357216161805012e-01);
    p = fma(p, z, 2.222219843214978396e-01);
    p = fma(p, z, 2.857142874366239149e-01);
    p = fma(p, z, 3.999999999940941908e-01);
    p = fma(p, z, 6.666666666666735130e-01);
    double k = (double)n;
    return k * mm_ln2_high - ((half - fma(s, fma(p, z, half), k * mm_ln2_low)) - f);
}

// In double, for scalars, tables and reports; within 2 ulp over the ranges that they say. NaN gives NaN.
double mm_exp(double x);             // 0 below -708, infinity above 709.78
double mm_pow(double x, double y);   // x > 0: mm_exp(y * mm_log(x)), the relative error grows with |y log x|
double mm_powi(double x, int64_t n); // n >= 0, by repeated squaring
void mm_sincos(double x, double *sine, double *cosine); // |x| <= 2^30

// A number as people are told it: a NaN's sign differs between CPUs.
static inline double mm_told(double x) {
    return isnan(x) ? NAN : x;
}

#endif

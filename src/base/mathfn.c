// Arguments are reduced with fma, exactly or to twice the precision; the polynomials' coefficients are
// fdlibm's (Sun Microsystems, 1993: e_exp.c, k_sin.c, k_cos.c).
#include <mm/base/mathfn.h>

#include <assert.h>
#include <stdbool.h>

static double of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// 2^n for -1022 <= n <= 1023.
static double power_of_two(int64_t n) {
    return of_bits((uint64_t)(n + 1023) << 52);
}

// The nearest whole number, ties to even, for |x| < 2^51.
static double nearest(double x) {
    return (x + 0x1.8p52) - 0x1.8p52;
}

double mm_exp(double x) {
    if (x != x) return x;
    if (x < -708) return 0;
    if (x > 709.78) return INFINITY;
    // x = n ln 2 + r, r = high - low. e^r = 1 + r + r c / (2 - c), where c = r - r^2 P(r^2).
    double n = nearest(x * 0x1.71547652b82fep+0);
    double high = fma(-n, mm_ln2_high, x), low = n * mm_ln2_low;
    double r = high - low, t = r * r;
    double p = 4.13813679705723846039e-08;
    p = fma(p, t, -1.65339022054652515390e-06);
    p = fma(p, t, 6.61375632143793436117e-05);
    p = fma(p, t, -2.77777777770155933842e-03);
    p = fma(p, t, 1.66666666666666019037e-01);
    double c = fma(-p, t, r);
    double y = 1.0 - ((low - r * c / (2.0 - c)) - high);
    // In two factors, so that n = 1024 does not overflow before the product does.
    int64_t whole = (int64_t)n, part = whole / 2;
    return y * power_of_two(part) * power_of_two(whole - part);
}

double mm_pow(double x, double y) {
    return mm_exp(y * mm_log(x));
}

// A number as the sum of two, |low| <= ulp(high) / 2.
typedef struct pair {
    double high, low;
} pair;

static pair multiply(pair a, pair b) {
    double high = a.high * b.high;
    // Beyond the range of double there is no rounding error to keep (infinity - infinity is not a number).
    if (!(fabs(high) < INFINITY) || high == 0) return (pair){high, 0};
    double low = fma(a.high, b.high, -high) + fma(a.high, b.low, a.low * b.high);
    double sum = high + low;
    return (pair){sum, low - (sum - high)};
}

double mm_powi(double x, int64_t n) {
    assert(n >= 0);
    pair result = {1, 0}, square = {x, 0};
    for (; n; n >>= 1) {
        if (n & 1) result = multiply(result, square);
        if (n > 1) square = multiply(square, square);
    }
    return result.high;
}

// x - n pi/2 to twice the precision, |x| < 2^30. fma(-n, pi_1, x) is exact: a multiple of 2^-53 below 1.
static pair reduce(double x, double n) {
    const double pi_1 = 0x1.921fb54442d18p+0, pi_2 = 0x1.1a62633145c07p-54, pi_3 = -0x1.f1976b7ed8fbcp-110;
    double r = fma(-n, pi_1, x);
    double product = n * pi_2, product_low = fma(n, pi_2, -product);
    double high = r - product;
    double back = high - r; // the error of the difference, whichever term is the larger (Knuth)
    double low = (r - (high - back)) - (product + back);
    low -= fma(n, pi_3, product_low);
    double sum = high + low;
    return (pair){sum, low - (sum - high)};
}

// For |r| <= pi/4.
static double sine_of(pair r) {
    double x = r.high, z = x * x, cube = z * x;
    double p = 1.58969099521155010221e-10;
    p = fma(p, z, -2.50507602534068634195e-08);
    p = fma(p, z, 2.75573137070700676789e-06);
    p = fma(p, z, -1.98412698298579493134e-04);
    p = fma(p, z, 8.33333333332248946124e-03);
    // sin(x + low) is sin(x) + low (1 - x^2/2).
    double rest = fma(z, 0.5 * r.low - cube * p, -r.low);
    return x - fma(cube, 1.66666666666666324348e-01, rest);
}

static double cosine_of(pair r) {
    double x = r.high, z = x * x;
    double p = -1.13596475577881948265e-11;
    p = fma(p, z, 2.08757232129817482790e-09);
    p = fma(p, z, -2.75573143513906633035e-07);
    p = fma(p, z, 2.48015872894767294178e-05);
    p = fma(p, z, -1.38888888888741095749e-03);
    p = fma(p, z, 4.16666666666666019037e-02);
    // cos(x + low) is cos(x) - low x; 1 - z/2 is taken with its error.
    double half = 0.5 * z, w = 1.0 - half;
    return w + (((1.0 - w) - half) + fma(z * z, p, -x * r.low));
}

void mm_sincos(double x, double *sine, double *cosine) {
    assert(!(fabs(x) > 0x1p30));
    if (x != x || fabs(x) < 0x1p-27) {
        *sine = x;
        *cosine = x != x ? x : 1.0;
        return;
    }
    double n = nearest(x * 0x1.45f306dc9c883p-1);
    pair r = reduce(x, n);
    double s = sine_of(r), c = cosine_of(r);
    int64_t quadrant = (int64_t)n & 3;
    bool swap = quadrant & 1;
    *sine = swap ? c : s;
    *cosine = swap ? s : c;
    if (quadrant == 2 || quadrant == 3) *sine = -*sine;
    if (quadrant == 1 || quadrant == 2) *cosine = -*cosine;
}

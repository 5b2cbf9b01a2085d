// Numbers for the tests of kernels: inputs that every machine makes alike, and comparisons with a reference
// in double.
#ifndef TESTS_NUMBERS_H
#define TESTS_NUMBERS_H

#include <mm/base/isa.h>
#include <stddef.h>
#include <stdint.h>

#define EPSILON 0x1p-24 // half a unit in the last place of 1.0f: the relative error of one float operation

// n floats, uniform in [-scale, scale), by integer arithmetic from the seed.
float *numbers_new(int64_t n, uint32_t seed, float scale);
// n floats that are not a number, for what a kernel must not read or must overwrite.
float *numbers_nan(int64_t n);
float *numbers_copy(const float *x, int64_t n);
double *numbers_double(const float *x, int64_t n);
double *numbers_zero_double(int64_t n);
// The next number of a sequence for drawing cases: splitmix64.
uint64_t numbers_draw(uint64_t *state);

// |got - want| <= tolerance * magnitude for each; the magnitude is that of the terms which make the number.
void expect_near(const char *what, const float *got, const double *want, const double *magnitude,
                 double tolerance, int64_t n);
void expect_same(const char *what, const float *got, const float *want, int64_t n);
// The bytes' XXH3-128 is the committed one: the same for every compiler, build and CPU.
void expect_hash(const char *what, mm_isa isa, const void *data, size_t size, const char *hash);

// The gradient of loss(self) with respect to x, where x is what loss reads, is the central difference with a
// step of 1e-5: its error is about 1e-10 from the third derivative and 1e-11 from rounding where loss and x
// are about 1, so 1e-7 of the largest (or of 1) holds with room and no wrong term passes.
void expect_gradient(const char *what, const double *gradient, double *x, int64_t n,
                     double (*loss)(const void *self), const void *self);

#endif

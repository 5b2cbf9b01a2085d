// How the kernels' loops are written so that compilers make vectors of them, whatever the width, with the
// same bits.
#ifndef MM_OPS_LANES_H
#define MM_OPS_LANES_H

#include <mm/base/mathfn.h>
#include <stdint.h>

// Before a loop whose numbers have nothing to do with each other, over pointers that are equal or apart:
// without it the compilers' check for overlap sends a call in place to a scalar loop.
#if defined(__clang__)
#define MM_ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#else
#define MM_ELEMENTWISE _Pragma("GCC ivdep")
#endif

// Before a loop whose numbers stay in registers, which needs all of its rounds side by side.
#if defined(__clang__)
#define MM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MM_UNROLL _Pragma("GCC unroll 16")
#endif

// Small functions that become part of a loop; a call there costs more than its work.
#define MM_INLINE static inline __attribute__((always_inline))

// Asks for the cache lines of n floats `ahead` of x, as far as they lie before `end`: a leaf's rows come from
// far, and a core by itself looks ahead less than that takes. Loops over contiguous floats ask for MM_FETCHED
// at a time, MM_AHEAD further on; loops over rows for whole rows.
enum { MM_LINE = 16, MM_FETCHED = 128, MM_AHEAD = 512 };
MM_INLINE void mm_fetch(const float *x, int64_t n, int64_t ahead, const float *end) {
    const int64_t left = end - x - ahead, most = n < left ? n : left;
    for (int64_t i = 0; i < most; i += MM_LINE) __builtin_prefetch(x + ahead + i);
}

// Loops with a sum go over whole blocks of MM_LANES numbers; the rest is added to the first lanes. That is
// the same as filling it with +0: a lane starts at +0, so it is never -0, and adding +0 leaves it.

#endif

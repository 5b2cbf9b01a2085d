// GEMM of our own, to the definition of <mm/ops/gemm.h>: faster than BLIS where CPUs have AVX2 or AVX-512,
// and what serves where BLIS differs from the definition.
#ifndef MM_OPS_GEMM_OWN_H
#define MM_OPS_GEMM_OWN_H

#include <mm/ops/gemm.h>
#include <stdint.h>

// Element (i, j) of a matrix is at data[i * row + j * column]; one of the distances is 1.
typedef struct mm_gemm_operand {
    const float *data;
    int64_t row, column;
} mm_gemm_operand;

typedef struct mm_gemm_own {
    // C (rows ldc apart) is m x n, a is m x k, b is k x n. room: mm_gemm_room floats, or NULL.
    void (*run)(int64_t m, int64_t n, int64_t k, float alpha, mm_gemm_operand a, mm_gemm_operand b,
                mm_gemm_into into, float *c, int64_t ldc, float *room);
} mm_gemm_own;

#endif

// The kernels are compiled once for each build (baseline, x86-64-v3, x86-64-v4; arm64: once), all into one
// program. So a kernel's file has only static functions and exports one table, whose name carries the build's
// suffix; functions that are not in a table live in files that are compiled once.
#ifndef MM_OPS_BUILD_H
#define MM_OPS_BUILD_H

#include "gemm_own.h"
#include <mm/ops/kernels.h>

// Everything of one build.
typedef struct mm_ops_build {
    mm_kernels kernels;
    const mm_gemm_own *gemm;
} mm_ops_build;

#ifdef MM_ISA_SUFFIX
extern const mm_rmsnorm_kernels MM_BUILD(mm_rmsnorm);
extern const mm_rope_kernels MM_BUILD(mm_rope);
extern const mm_attention_kernels MM_BUILD(mm_attention);
extern const mm_swiglu_kernels MM_BUILD(mm_swiglu);
extern const mm_embedding_kernels MM_BUILD(mm_embedding);
extern const mm_dropout_kernels MM_BUILD(mm_dropout);
extern const mm_cross_entropy_kernels MM_BUILD(mm_cross_entropy);
extern const mm_bias_kernels MM_BUILD(mm_bias);
extern const mm_gemv_kernels MM_BUILD(mm_gemv);
extern const mm_attention_query_kernels MM_BUILD(mm_attention_query);
extern const mm_gemm_own MM_BUILD(mm_gemm_own);
extern const mm_ops_build MM_BUILD(mm_ops_build);
#endif

// The build for `isa`, as mm_kernels_for.
const mm_ops_build *mm_ops_build_for(mm_isa isa);

#endif

// The table of one build.
#include "build.h"

const mm_ops_build MM_BUILD(mm_ops_build) = {
    .kernels =
        {
            .isa = MM_BUILD_ISA,
            .rmsnorm = &MM_BUILD(mm_rmsnorm),
            .rope = &MM_BUILD(mm_rope),
            .attention = &MM_BUILD(mm_attention),
            .swiglu = &MM_BUILD(mm_swiglu),
            .embedding = &MM_BUILD(mm_embedding),
            .dropout = &MM_BUILD(mm_dropout),
            .cross_entropy = &MM_BUILD(mm_cross_entropy),
            .bias = &MM_BUILD(mm_bias),
            .gemv = &MM_BUILD(mm_gemv),
            .attention_query = &MM_BUILD(mm_attention_query),
        },
    .gemm = &MM_BUILD(mm_gemm_own),
};

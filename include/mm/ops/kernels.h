// The table of functions of one build of src/ops. What holds for each of them: it allocates nothing and keeps
// no state of its own, so any number of threads may call it at once; arrays have no number in common unless
// its comment says so.
#ifndef MM_OPS_KERNELS_H
#define MM_OPS_KERNELS_H

#include <mm/base/isa.h>
#include <mm/ops/attention.h>
#include <mm/ops/attention_query.h>
#include <mm/ops/bias.h>
#include <mm/ops/cross_entropy.h>
#include <mm/ops/dropout.h>
#include <mm/ops/embedding.h>
#include <mm/ops/gemv.h>
#include <mm/ops/rmsnorm.h>
#include <mm/ops/rope.h>
#include <mm/ops/swiglu.h>

typedef struct mm_kernels {
    mm_isa isa;
    const mm_rmsnorm_kernels *rmsnorm;
    const mm_rope_kernels *rope;
    const mm_attention_kernels *attention;
    const mm_swiglu_kernels *swiglu;
    const mm_embedding_kernels *embedding;
    const mm_dropout_kernels *dropout;
    const mm_cross_entropy_kernels *cross_entropy;
    const mm_bias_kernels *bias;
    const mm_gemv_kernels *gemv;
    const mm_attention_query_kernels *attention_query;
} mm_kernels;

// The build for `isa`; where the architecture has only one build, that one whatever is asked for.
const mm_kernels *mm_kernels_for(mm_isa isa);

#endif

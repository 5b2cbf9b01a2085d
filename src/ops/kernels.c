#include <mm/ops/kernels.h>

#include "build.h"

extern const mm_ops_build mm_ops_build_baseline;
#if defined(__x86_64__)
extern const mm_ops_build mm_ops_build_v3, mm_ops_build_v4;
#endif

const mm_ops_build *mm_ops_build_for(mm_isa isa) {
#if defined(__x86_64__)
    if (isa == MM_ISA_V4) return &mm_ops_build_v4;
    if (isa == MM_ISA_V3) return &mm_ops_build_v3;
#endif
    (void)isa;
    return &mm_ops_build_baseline;
}

const mm_kernels *mm_kernels_for(mm_isa isa) {
    return &mm_ops_build_for(isa)->kernels;
}

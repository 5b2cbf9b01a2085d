#include <mm/ops/kernels.h>

#include "build.h"

MM_DECLARE_BUILDS(mm_ops_build, mm_ops_build);

const mm_ops_build *mm_ops_build_for(mm_isa isa) {
    static const mm_ops_build *const builds[] = MM_BUILDS(mm_ops_build);
    return builds[isa];
}

const mm_kernels *mm_kernels_for(mm_isa isa) {
    return &mm_ops_build_for(isa)->kernels;
}

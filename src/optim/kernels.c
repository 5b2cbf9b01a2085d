#include "build.h"

const mm_optim_kernels *mm_optim_kernels_for(mm_isa isa) {
    static const mm_optim_kernels *const builds[] = MM_BUILDS(mm_optim);
    return builds[isa];
}

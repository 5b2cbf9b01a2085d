#include <mm/optim/adamw.h>

extern const mm_optim_kernels mm_optim_baseline;
#if defined(__x86_64__)
extern const mm_optim_kernels mm_optim_v3, mm_optim_v4;
#endif

const mm_optim_kernels *mm_optim_kernels_for(mm_isa isa) {
#if defined(__x86_64__)
    if (isa == MM_ISA_V4) return &mm_optim_v4;
    if (isa == MM_ISA_V3) return &mm_optim_v3;
#endif
    (void)isa;
    return &mm_optim_baseline;
}

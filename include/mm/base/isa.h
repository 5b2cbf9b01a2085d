// Which build of the kernels this CPU runs. src/ops, src/optim and the hash are built once for each; all give
// the same bits.
#ifndef MM_BASE_ISA_H
#define MM_BASE_ISA_H

#include <mm/base/status.h>

typedef enum mm_isa {
    MM_ISA_BASELINE, // what the compiler builds for without -march: any CPU of the architecture
    MM_ISA_V3,       // x86-64-v3: AVX2, FMA, BMI
    MM_ISA_V4        // x86-64-v4: AVX-512 F, BW, CD, DQ, VL
} mm_isa;

// "baseline", "x86-64-v3", "x86-64-v4".
const char *mm_isa_name(mm_isa isa);
// Can this CPU (and its system) run it?
mm_isa mm_isa_best(void);
// The best, or the one that $MM_ISA names; trouble if that is no name or not to be run here. Empty counts as
// unset.
MM_CHECKED mm_status mm_isa_pick(mm_isa *isa, mm_error *error);

#endif

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
// The best that this CPU (and its system) runs.
mm_isa mm_isa_best(void);
// The best, or the one that $MM_ISA names; trouble if that is no name or not to be run here. Empty counts as
// unset.
MM_CHECKED mm_status mm_isa_pick(mm_isa *isa, mm_error *error);

// In a file that is compiled for each build, with the build's suffix: MM_BUILD(mm_rope) is mm_rope_baseline,
// mm_rope_v3, ... Elsewhere: MM_DECLARE_BUILDS says that those of a type are somewhere, and
// MM_BUILDS fills an array of pointers to them, by mm_isa.
#define MM_PASTE_(name, suffix) name##suffix
#define MM_PASTE(name, suffix) MM_PASTE_(name, suffix)
#ifdef MM_ISA_SUFFIX
#define MM_BUILD(name) MM_PASTE(name, MM_ISA_SUFFIX)
#endif
#define MM_DECLARE_BUILDS(type, name) extern const type name##_baseline, name##_v3, name##_v4
#if defined(__x86_64__)
#define MM_BUILDS(name)                                                                                      \
    { &name##_baseline, &name##_v3, &name##_v4 }
#else
#define MM_BUILDS(name)                                                                                      \
    { &name##_baseline }
#endif

#endif

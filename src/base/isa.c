#include <mm/base/isa.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"baseline", "x86-64-v3", "x86-64-v4"};

const char *mm_isa_name(mm_isa isa) {
    return names[isa];
}

mm_isa mm_isa_best(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2"))
        return MM_ISA_BASELINE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return MM_ISA_V4;
    return MM_ISA_V3;
#else
    return MM_ISA_BASELINE;
#endif
}

mm_status mm_isa_pick(mm_isa *isa, mm_error *error) {
    mm_isa best = mm_isa_best();
    const char *wanted = getenv("MM_ISA");
    *isa = best;
    if (!wanted || !*wanted) return MM_OK;
    for (mm_isa i = MM_ISA_BASELINE; i <= MM_ISA_V4; i++) {
        if (strcmp(wanted, names[i]) != 0) continue;
        if (i > best)
            return mm_trouble(error, "MM_ISA=%s: this CPU runs at most %s; unset it or name that one", wanted,
                              names[best]);
        *isa = i;
        return MM_OK;
    }
    return mm_trouble(error, "MM_ISA=%s: expected baseline, x86-64-v3 or x86-64-v4, or unset for the best",
                      wanted);
}

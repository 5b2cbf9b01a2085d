#include <mm/base/par.h>

#include "limit.h"
#include <assert.h>
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <stdint.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

// Cores that the scheduler may put this process on; 0 if it does not say.
static int affinity_cores(void) {
    // The kernel refuses a set that is smaller than its own, whose size it does not tell.
    for (int most = 1024; most <= 1 << 20; most *= 4) {
        cpu_set_t *set = CPU_ALLOC(most);
        if (!set) return 0;
        size_t size = CPU_ALLOC_SIZE(most);
        int count = sched_getaffinity(0, size, set) ? 0 : CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (count > 0) return count;
    }
    return 0;
}

int mm_par_cores(void) {
    int cores = affinity_cores();
    if (cores < 1) cores = 1;
    double quota = ceil(mm_limits_cpus());
    if (quota < cores) cores = quota < 1 ? 1 : (int)quota;
    return cores;
}

void mm_par_ieee(void) {
#if defined(__SSE__)
    // All exceptions masked, rounding to nearest, neither flush-to-zero nor denormals-are-zero.
    _mm_setcsr(0x1f80);
#elif defined(__aarch64__)
    uint64_t fpcr = 0; // the same, and no default NaN
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
#endif
}

void mm_par_run(int workers, void (*work)(void *self, int worker), void *self) {
    assert(workers >= 1);
    omp_set_dynamic(0);
#pragma omp parallel num_threads(workers)
    {
        int threads = omp_get_num_threads();
        for (int worker = omp_get_thread_num(); worker < workers; worker += threads) {
            mm_par_ieee();
            work(self, worker);
        }
    }
}

void mm_par_slice(long n, long grain, int worker, int workers, long *begin, long *end) {
    assert(n >= 0 && grain >= 1 && workers >= 1 && worker >= 0 && worker < workers);
    // The first `more` parts have one grain more than the others.
    long grains = n / grain + (n % grain != 0), each = grains / workers, more = grains % workers;
    long first = worker * each + (worker < more ? worker : more);
    long last = first + each + (worker < more);
    *begin = first * grain < n ? first * grain : n;
    *end = last * grain < n ? last * grain : n;
}

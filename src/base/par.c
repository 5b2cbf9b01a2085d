#include <mm/base/par.h>

#include "limit.h"
#include <assert.h>
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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

// A turn ends when the last worker arrives. The mutex and the condition are for those who have gone to sleep.
struct mm_barrier {
    atomic_int arrived;
    atomic_uint turn;
    int looks; // before going to sleep
    pthread_mutex_t mutex;
    pthread_cond_t ended;
};

// Some 50 microseconds: longer than equal parts of a layer take turns to end, shorter than waking up twice.
enum { AWAKE_LOOKS = 2000 };

static void relax(void) {
#if defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void end_turn(struct mm_barrier *b) {
    atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
    pthread_mutex_lock(&b->mutex);
    atomic_fetch_add_explicit(&b->turn, 1, memory_order_release);
    pthread_cond_broadcast(&b->ended);
    pthread_mutex_unlock(&b->mutex);
}

void mm_team_wait(const mm_team *team) {
    struct mm_barrier *b = team->barrier;
    unsigned turn = atomic_load_explicit(&b->turn, memory_order_acquire);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) + 1 == team->workers) {
        end_turn(b);
        return;
    }
    for (int i = 0; i < b->looks; i++) {
        if (atomic_load_explicit(&b->turn, memory_order_acquire) != turn) return;
        relax();
    }
    pthread_mutex_lock(&b->mutex);
    while (atomic_load_explicit(&b->turn, memory_order_acquire) == turn)
        pthread_cond_wait(&b->ended, &b->mutex);
    pthread_mutex_unlock(&b->mutex);
}

void mm_par_team(int workers, void (*work)(void *self, const mm_team *team, int worker), void *self) {
    assert(workers >= 1);
    struct mm_barrier barrier = {.looks = workers <= mm_par_cores() ? AWAKE_LOOKS
                                                                    : 0, // whom one waits for needs the core
                                 .mutex = PTHREAD_MUTEX_INITIALIZER,
                                 .ended = PTHREAD_COND_INITIALIZER};
    omp_set_dynamic(0);
#pragma omp parallel num_threads(workers)
    {
        const mm_team team = {.workers = omp_get_num_threads(), .barrier = &barrier};
        mm_par_ieee();
        work(self, &team, omp_get_thread_num());
    }
    pthread_cond_destroy(&barrier.ended);
    pthread_mutex_destroy(&barrier.mutex);
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

#include <mm/base/par.h>

#include "limit.h"
#include <assert.h>
#include <math.h>
#include <mm/base/clock.h>
#include <mm/base/profile.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
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

// Where threads wait until all that can be made are there.
typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool open;
} gate;

static void *wait_at(void *self) {
    gate *g = self;
    pthread_mutex_lock(&g->mutex);
    while (!g->open) pthread_cond_wait(&g->opened, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

// How many of so many threads, the caller's among them, can be had at once.
static int try_threads(int threads) {
    gate g = {.mutex = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    pthread_t *made = malloc((size_t)threads * sizeof *made);
    int count = 1;
    while (made && count < threads && !pthread_create(&made[count], NULL, wait_at, &g)) count++;
    pthread_mutex_lock(&g.mutex);
    g.open = true;
    pthread_cond_broadcast(&g.opened);
    pthread_mutex_unlock(&g.mutex);
    for (int i = 1; i < count; i++) pthread_join(made[i], NULL);
    pthread_cond_destroy(&g.opened);
    pthread_mutex_destroy(&g.mutex);
    free(made);
    return count;
}

int mm_par_threads(int workers) {
    static atomic_int asked = 1, had = 1;
    if (workers > asked) {
        had = try_threads(workers);
        asked = workers;
    }
    return workers < had ? workers : had;
}

static atomic_int kept = 1;

void mm_par_let_go(void) {
    kept = 1;
}

// Of a team that becomes smaller libgomp lets threads go, makes them again for a larger one, and ends the
// process where it then cannot. One worker alone is no team to it.
static int team_size(int threads) {
    if (threads == 1) return 1;
    if (threads > kept) kept = threads;
    return kept;
}

void mm_par_run(int workers, void (*work)(void *self, int worker), void *self) {
    assert(workers >= 1);
    omp_set_dynamic(0);
    const int wanted = mm_par_threads(workers);
#pragma omp parallel num_threads(team_size(wanted))
    {
        const int there = omp_get_num_threads(), threads = wanted < there ? wanted : there;
        const int mine = omp_get_thread_num();
        for (int worker = mine; mine < threads && worker < workers; worker += threads) {
            mm_par_ieee();
            mm_profile_enter(worker);
            work(self, worker);
            mm_profile_leave();
        }
    }
    mm_profile_joined();
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

static void wait_for_team(const mm_team *team) {
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

const mm_team mm_team_alone = {.workers = 1};

void mm_team_wait(const mm_team *team) {
    if (team->workers == 1) return;
    if (!mm_profile_mine) {
        wait_for_team(team);
        return;
    }
    double began = mm_clock_seconds();
    wait_for_team(team);
    mm_profile_waited(began);
}

int mm_team_split(const mm_team *team, int parts, int *worker, mm_team *part) {
    assert(parts >= 1 && parts <= team->workers && (team->parts || team->workers == 1));
    long begin, end;
    int number = -1;
    do mm_par_slice(team->workers, 1, ++number, parts, &begin, &end);
    while (*worker >= end);
    *worker -= (int)begin;
    *part = (mm_team){.workers = (int)(end - begin), .barrier = team->parts ? &team->parts[number] : NULL};
    return number;
}

static void barrier_open(struct mm_barrier *barrier, int looks) {
    *barrier = (struct mm_barrier){
        .looks = looks, .mutex = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
}

static void barrier_close(struct mm_barrier *barrier) {
    pthread_cond_destroy(&barrier->ended);
    pthread_mutex_destroy(&barrier->mutex);
}

void mm_par_team(int workers, void (*work)(void *self, const mm_team *team, int worker), void *self) {
    assert(workers >= 1);
    struct mm_barrier whole, *parts = calloc((size_t)workers, sizeof *parts);
    if (!parts) {
        mm_par_ieee();
        work(self, &mm_team_alone, 0);
        return;
    }
    // Whom one waits for needs the core.
    int looks = workers <= mm_par_cores() ? AWAKE_LOOKS : 0;
    barrier_open(&whole, looks);
    for (int i = 0; i < workers; i++) barrier_open(&parts[i], looks);
    omp_set_dynamic(0);
    const int wanted = mm_par_threads(workers);
#pragma omp parallel num_threads(team_size(wanted))
    {
        const int there = omp_get_num_threads(), mine = omp_get_thread_num();
        const mm_team team = {.workers = wanted < there ? wanted : there, .barrier = &whole, .parts = parts};
        if (mine < team.workers) {
            mm_par_ieee();
            mm_profile_enter(mine);
            work(self, &team, mine);
            mm_profile_leave();
        }
    }
    mm_profile_joined();
    for (int i = 0; i < workers; i++) barrier_close(&parts[i]);
    barrier_close(&whole);
    free(parts);
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
